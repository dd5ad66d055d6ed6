"""New files on their way through workers: each part that a worker has made whole is committed at once.

A file that ends the worker, as a damaged one can by a fault of a decoder, must not keep the others from being scored:
it is looked for in smaller and smaller batches, and refused where the worker is well with others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from recurra.progress import Progress
from recurra.scoring.batch import keep
from recurra.scoring.one_pass import OnePass
from recurra.scoring.part_files import part_name
from recurra_flows.workers import WorkerHinderedError, WorkerLostError, kept_log, run_worker

PARTS = 8
"""Into so many batches one is divided that the worker died in."""


class Work:
    """The new files of a pass. `request` is what the worker needs besides them."""

    def __init__(
        self, one: OnePass, todo: pa.Table, request: Mapping[str, Any], shown: Progress, debug: bool = False
    ) -> None:
        self.one, self.todo, self.request, self.shown, self.debug = one, todo, request, shown, debug
        self.file = one.scores.scratch() / "todo.arrow"
        self.number = one.scores.next()
        self.alone, self.suspects = set[int](), list[int]()

    def through(self) -> None:
        """Has workers do it all. WorkerLostError where they die of whatever they are given."""
        tally = self.one.tally
        before, scored = tally.scored + tally.refused, tally.scored
        keep(self.todo, self.file)
        self.shown.begin("score", len(self.todo), "files")
        try:
            lost = self._range(0, len(self.todo), self.one.settings.batch)
        finally:
            self.shown.end()
        if lost and tally.scored == scored:
            raise lost
        if lost:
            self._refuse_suspects(str(lost))
        # What was changed or removed while it was read is in no part.
        tally.waiting += len(self.todo) - (tally.scored + tally.refused - before)

    def _range(self, start: int, stop: int, size: int) -> WorkerLostError | None:
        """Scores the files from `start` to `stop` in batches of `size`; how a worker died with a suspect, if it did."""
        lost = None
        while start < stop:
            run = _Run(self, start, size)
            try:
                self._worked(run, stop)
                return lost
            except WorkerHinderedError:
                raise
            except WorkerLostError as error:
                if not run.begun:
                    raise  # it is not the files' fault
                start, end = run.at, min(run.at + size, stop)
                if end - start > 1:
                    self.shown.note(f"{error}; {end - start:,} files are tried again in smaller batches")
                    lost = self._range(start, end, -(-(end - start) // PARTS)) or lost
                elif end > start and start in self.alone:
                    self.suspects.append(start)
                    lost = error
                elif end > start:
                    self.alone.add(start)  # once may be chance
                    end = start
                start = end
        return lost

    def _worked(self, run: _Run, stop: int) -> None:
        own = {"todo": str(self.file), "rows": [run.start, stop], "batch": run.size}
        place = {"folder": str(run.folder), "first": self.number}
        with kept_log("score", self.debug) as log:
            run_worker("score", {**self.request, **own, **place}, run, log)

    def _refuse_suspects(self, how: str) -> None:
        files = self.todo.take(pa.array(self.suspects, pa.int64()))
        reasons = pa.array([f"the process that read it died each time ({how.partition(';')[0]})"] * len(files))
        self.one.refuse(files.set_column(files.column_names.index("reason"), "reason", reasons))


class _Run:
    """One worker's run, from a row on: shows how far it is, and has parts committed as they are whole.

    The worker ends a task with each batch; whether that left a part, its folder's name tells. So a part that was whole
    when the worker died is committed too.
    """

    def __init__(self, work: Work, start: int, size: int) -> None:
        self.work, self.start, self.size, self.at = work, start, size, start
        self.folder, self.begun = work.one.scores.scratch(), False

    def begin(self, task: str, total: int | None, unit: str, done: int = 0) -> None:
        """A batch starts. What is shown goes over all of them."""
        del task, total, unit, done
        self.begun = True

    def advance(self, done: int, **values: float) -> None:
        """Shown, of all batches."""
        self.work.shown.advance(self.at + done, **values)

    def end(self) -> None:
        """A batch is done, or all work is, well or not."""
        while (part := self.folder / part_name(self.work.number)).is_dir():
            self.work.one.commit(part, self.work.todo)
            self.work.number, self.at = self.work.number + 1, self.at + self.size

    def note(self, line: str) -> None:
        """Shown."""
        self.work.shown.note(line)

    def measured(self, row: Mapping[str, float | None], value: float | None) -> None:
        """Nothing."""
