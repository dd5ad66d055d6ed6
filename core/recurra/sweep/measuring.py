"""What a trial's training comes to: epoch by epoch while it runs, and when it has ended."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recurra.checkpoint import Checkpoint
from recurra.durable import read_json
from recurra.errors import RecurraError
from recurra.experiment import Experiment
from recurra.history import read_history
from recurra.progress import Progress
from recurra.store import Artifact
from recurra.sweep.search import Search
from recurra.sweep.trial import Trial
from recurra.training.loop import CHECKPOINT

Row = Mapping[str, Any]


class PrunedError(RecurraError):
    """A trial was ended because others were better at that epoch. Its checkpoint stays."""


class Measuring:
    """Shows a trial's progress where `shown` does, and ends the training with a `PrunedError` where that is due."""

    def __init__(self, search: Search, trial: Trial, experiment: Experiment, shown: Progress) -> None:
        self.search, self.trial, self.experiment, self.shown = search, trial, experiment, shown
        self.rows: dict[int, Row] = {}

    def begin(self, task: str, total: int | None, unit: str, done: int = 0) -> None:
        """Passed on."""
        self.shown.begin(task, total, unit, done)

    def advance(self, done: int, **values: float) -> None:
        """Passed on."""
        self.shown.advance(done, **values)

    def end(self) -> None:
        """Passed on."""
        self.shown.end()

    def note(self, line: str) -> None:
        """Passed on."""
        self.shown.note(line)

    def measured(self, row: Mapping[str, float | None], value: float | None) -> None:
        """Passed on, and kept with the trial."""
        self.shown.measured(row, value)
        self.recall([row])

    def recall(self, rows: Iterable[Row]) -> None:
        """Keeps epochs that are over with the trial, those that it knows already left out; as `measured`."""
        for row in rows:
            epoch, value = int(row["epoch"]), row[self.search.plan.monitored]
            if epoch in self.rows:
                continue
            self.rows[epoch] = row
            last = epoch >= self.experiment.train.epochs
            if value is None or not math.isfinite(value):
                continue
            if self.search.measured(self.trial.number, epoch, float(value), last):
                raise PrunedError(f"pruned after epoch {epoch} of {self.experiment.train.epochs}")

    def ended(self, training: Artifact) -> Trial:
        """The trial with what its training came to. One that was found in the store is judged as if it ran now, so
        that what was trained before changes nothing but the time; an epoch in which it would have been pruned raises a
        `PrunedError`.
        """
        record = read_json(training.file("train.json"))
        self.recall(finished_history(training))
        which = record["best_epoch"] if self.experiment.train.keep == "best" else record["epochs_done"]
        value = self.rows[which][self.search.plan.monitored]
        if not math.isfinite(value):
            raise RecurraError(f"{self.search.plan.monitored} is not a finite number at epoch {which}")
        return self.search.done(
            self.trial.number,
            float(value),
            best_epoch=record["best_epoch"],
            epochs=record["epochs_done"],
            seconds=record["seconds"],
            training=training.key,
        )

    def facts(self) -> dict[str, Any]:
        """Of a training that did not come to its end: the epochs that were done, and their seconds."""
        return {
            "epochs": max(self.rows, default=0),
            "seconds": math.fsum(row["seconds"] for row in self.rows.values()),
        }


def finished_history(training: Artifact) -> list[Row]:
    """The epochs of a training that came to its end."""
    columns = read_history(training.file("history.parquet"))
    return [dict(zip(columns, map(float, values), strict=True)) for values in zip(*columns.values(), strict=True)]


def interrupted_history(partial: Path) -> list[Row]:
    """The epochs that the checkpoint in a folder has behind it; none where there is no whole one."""
    try:
        return list(Checkpoint.read(partial / CHECKPOINT).position.history)
    except RecurraError:
        return []
