"""How a stage tells how far it is. What shows it (a terminal bar, plain lines, Prefect) is chosen outside the stage."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol, TextIO


class Progress(Protocol):
    """Told by a stage what it does. One task at a time; calls are cheap, and come from one thread."""

    def begin(self, task: str, total: int | None, unit: str, done: int = 0) -> None:
        """A task starts: `preprocess`, `epoch 3/10`; `done` of `total` units (samples) were done before."""
        ...

    def advance(self, done: int, **values: float) -> None:
        """`done` units are done by now, in all; `values` to show beside them (loss=0.31)."""
        ...

    def end(self) -> None:
        """The task is done."""
        ...

    def note(self, line: str) -> None:
        """A line worth keeping: a warning, an epoch's result."""
        ...

    def measured(self, row: Mapping[str, float | None], value: float | None) -> None:
        """An epoch is over: its row of the history, and what ranks it (higher is better; None: not measured)."""
        ...


class Silent:
    """Shows nothing."""

    def begin(self, task: str, total: int | None, unit: str, done: int = 0) -> None:
        """Nothing."""

    def advance(self, done: int, **values: float) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""

    def note(self, line: str) -> None:
        """Nothing."""

    def measured(self, row: Mapping[str, float | None], value: float | None) -> None:
        """Nothing."""


class Pace:
    """Rate and time left of one task."""

    def __init__(self, total: int | None, done: int) -> None:
        self.total, self.first, self.done, self.start = total, done, done, time.monotonic()

    @property
    def rate(self) -> float:
        """Units a second since the task began."""
        return (self.done - self.first) / max(1e-9, time.monotonic() - self.start)

    @property
    def left(self) -> float | None:
        """Seconds left at this rate; None where that cannot be said."""
        return (self.total - self.done) / self.rate if self.total and self.done > self.first else None


def duration(seconds: float) -> str:
    """74 -> 1 min 14 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def shown(values: Mapping[str, float]) -> str:
    """`  loss 0.31` for each of them, to stand after what is there."""
    return "".join(f"  {name} {value:.4g}" for name, value in values.items())


class Lines:
    """Plain lines, for logs: one every `every` seconds while a task goes on, so that a short task has none."""

    def __init__(self, stream: TextIO | None = None, every: float = 10.0) -> None:
        self.stream, self.every = stream or sys.stderr, every
        self.task, self.unit, self.values = "", "", {}
        self.pace, self.last = Pace(None, 0), 0.0

    def begin(self, task: str, total: int | None, unit: str, done: int = 0) -> None:
        """Remembers the task."""
        self.task, self.unit, self.values = task, unit, {}
        self.pace, self.last = Pace(total, done), time.monotonic()

    def advance(self, done: int, **values: float) -> None:
        """A line where it is time for one."""
        self.pace.done, self.values = done, values
        if time.monotonic() - self.last >= self.every:
            self._line()

    def end(self) -> None:
        """Nothing: what the task came to is noted by whoever did it."""

    def note(self, line: str) -> None:
        """The line itself."""
        print(line, file=self.stream, flush=True)

    def measured(self, row: Mapping[str, float | None], value: float | None) -> None:
        """Nothing: a line tells it."""

    def _line(self) -> None:
        self.last, pace = time.monotonic(), self.pace
        of = f"/{pace.total:,}" if pace.total else ""
        left = f"  {duration(pace.left)} left" if pace.left and pace.done != pace.total else ""
        self.note(f"{self.task}: {pace.done:,}{of} {self.unit}  {pace.rate:,.0f}/s{left}{shown(self.values)}")


def bars(console: Any) -> Any:
    """A rich display of bars, not yet started; each has a `rate` and `values`, texts, beside it."""
    from rich import progress

    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),  # it may hold a name of a plugin
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]}"),
        progress.TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        progress.TextColumn("[dim]{task.fields[values]}"),
        console=console,
        transient=True,
    )


class Terminal:
    """A bar with rate and time left (rich)."""

    def __init__(self, console: Any = None) -> None:
        from rich.console import Console

        self.console = console or Console(stderr=True)
        self.bar: Any = None

    def begin(self, task: str, total: int | None, unit: str, done: int = 0) -> None:
        """A new bar."""
        self.end()
        self.unit, self.pace = unit, Pace(total, done)
        self.bar = bars(self.console)
        self.row = self.bar.add_task(task, total=total, completed=done, rate="", values="")
        self.bar.start()

    def advance(self, done: int, **values: float) -> None:
        """Moves the bar."""
        self.pace.done = done
        rate = f"{self.pace.rate:,.0f} {self.unit}/s"
        if self.bar is not None:
            self.bar.update(self.row, completed=done, rate=rate, values=shown(values).strip())

    def end(self) -> None:
        """Takes the bar away."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def note(self, line: str) -> None:
        """The line, above the bar."""
        self.console.print(line, markup=False, highlight=False)

    def measured(self, row: Mapping[str, float | None], value: float | None) -> None:
        """Nothing: a line tells it."""


class Events:
    """JSON lines on a stream, for a stage in a process of its own; `replay` shows them in the parent."""

    def __init__(self, stream: TextIO, every: float = 0.1) -> None:
        self.stream, self.every, self.last = stream, every, 0.0

    def _send(self, event: str, **fields: Any) -> None:
        print(json.dumps({"event": event, **fields}), file=self.stream, flush=True)

    def begin(self, task: str, total: int | None, unit: str, done: int = 0) -> None:
        """Sent."""
        self._send("begin", task=task, total=total, unit=unit, done=done)

    def advance(self, done: int, **values: float) -> None:
        """Sent, at most every `every` seconds."""
        if time.monotonic() - self.last >= self.every:
            self.last = time.monotonic()
            self._send("advance", done=done, values=values)

    def end(self) -> None:
        """Sent."""
        self._send("end")

    def note(self, line: str) -> None:
        """Sent."""
        self._send("note", line=line)

    def measured(self, row: Mapping[str, float | None], value: float | None) -> None:
        """Sent."""
        self._send("measured", row=dict(row), value=value)


def replay(event: dict[str, Any], progress: Progress) -> None:
    """Shows in `progress` what an `Events` in another process sent."""
    fields = {name: value for name, value in event.items() if name != "event"}
    if event["event"] == "advance":
        progress.advance(fields["done"], **fields["values"])
    elif event["event"] in ("begin", "end", "note", "measured"):
        getattr(progress, event["event"])(**fields)


def for_stream(stream: TextIO | None = None) -> Progress:
    """A bar on a terminal, plain lines elsewhere."""
    on: TextIO = stream or sys.stderr
    return Terminal() if on.isatty() else Lines(on)
