"""Shows stages that run side by side: each has a part of the board, and a label that tells it from the others."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from threading import RLock
from typing import Any, Protocol, TextIO

from recurra.progress import Lines, Pace, Progress, bars, shown


class Board(Protocol):
    """Where stages show their progress. Its parts may be in different threads, each part in one."""

    def part(self, label: str) -> Progress:
        """What the stage of that label is to tell its progress to. Without a label: what belongs to no stage."""
        ...

    def close(self) -> None:
        """Takes away what stages that did not end have left."""
        ...


def board_for_stream(stream: TextIO | None = None) -> Board:
    """A bar for each stage that runs on a terminal, plain lines with the labels elsewhere."""
    on: TextIO = stream or sys.stderr
    return Bars() if on.isatty() else LabelledLines(on)


class LabelledLines:
    """Plain lines, for logs: of each part one every `every` seconds while a task goes on."""

    def __init__(self, stream: TextIO, every: float = 10.0) -> None:
        self.stream, self.every, self._lock = stream, every, RLock()

    def part(self, label: str) -> Progress:
        """Lines that begin with the label."""
        return _Labelled(self, label)

    def write(self, line: str) -> None:
        """The line, whole, whatever other threads write."""
        with self._lock:
            print(line, file=self.stream, flush=True)

    def close(self) -> None:
        """Nothing: a line stays."""


class _Labelled(Lines):
    def __init__(self, board: LabelledLines, label: str) -> None:
        super().__init__(board.stream, board.every)
        self.board, self.label = board, label

    def note(self, line: str) -> None:
        self.board.write(_labelled(self.label, line))


class Bars:
    """One bar below the other for the stages that run, and the lines of all of them above (rich)."""

    def __init__(self, console: Any = None) -> None:
        from rich.console import Console

        self.console = console or Console(stderr=True)
        self._lock = RLock()
        self._shown: Any = None
        self._rows: set[int] = set()

    def part(self, label: str) -> Progress:
        """A bar, as long as a task of the part goes on."""
        return _Bar(self, label)

    def add(self, description: str, total: int | None, done: int) -> int:
        """A new bar: its number."""
        with self._lock:
            if self._shown is None:
                self._shown = bars(self.console)
                self._shown.start()
            row = self._shown.add_task(description, total=total, completed=done, rate="", values="")
            self._rows.add(row)
            return row

    def move(self, row: int, done: int, rate: str, values: str) -> None:
        """Moves a bar, where it is still there."""
        with self._lock:
            if row in self._rows:
                self._shown.update(row, completed=done, rate=rate, values=values)

    def remove(self, row: int) -> None:
        """Takes a bar away. With the last one the terminal is as it was."""
        with self._lock:
            if row in self._rows:
                self._rows.remove(row)
                self._shown.remove_task(row)
            if not self._rows:
                self.close()

    def close(self) -> None:
        """Takes all bars away."""
        with self._lock:
            self._rows.clear()
            if self._shown is not None:
                self._shown.stop()
                self._shown = None


class _Bar:
    """A part of `Bars`."""

    def __init__(self, board: Bars, label: str) -> None:
        self.board, self.label = board, label
        self.row, self.unit, self.pace = -1, "", Pace(None, 0)

    def begin(self, task: str, total: int | None, unit: str, done: int = 0) -> None:
        self.end()
        self.unit, self.pace = unit, Pace(total, done)
        self.row = self.board.add(_labelled(self.label, task), total, done)

    def advance(self, done: int, **values: float) -> None:
        self.pace.done = done
        self.board.move(self.row, done, f"{self.pace.rate:,.0f} {self.unit}/s", shown(values).strip())

    def end(self) -> None:
        self.board.remove(self.row)
        self.row = -1

    def note(self, line: str) -> None:
        self.board.console.print(_labelled(self.label, line), markup=False, highlight=False)

    def measured(self, row: Mapping[str, float | None], value: float | None) -> None:
        """Nothing: a line tells it."""


def _labelled(label: str, line: str) -> str:
    return f"{label}: {line}" if label else line
