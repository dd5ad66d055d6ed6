"""What the trainings of a comparison came to: a row for each, its history, and its answers to each test sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from recurra import rows
from recurra.comparison.plan import Cell, Plan, Probe, Variant
from recurra.comparison.probing import FILE, read_probe
from recurra.dataset import Dataset
from recurra.durable import read_json
from recurra.errors import RecurraError
from recurra.history import read_history
from recurra.metrics import Metrics
from recurra.pairing import Answered, numbered
from recurra.predictions import Predictions
from recurra.store import Artifact

TOGETHER = 0.1
"""Part of a training's time from which another one is said to have run beside it."""


@dataclass(frozen=True)
class Row:
    """One training, and what it achieved on the test split."""

    backend: str
    model: str
    seed: int
    accuracy: float
    accuracy_low: float | None
    """Of its 95% interval over test samples; None where the experiment asks for none."""
    accuracy_high: float | None
    macro_f1: float
    log_loss: float
    test_samples: int
    parameters: int
    epochs: int
    """That were done."""
    best_epoch: int
    seconds: float
    """Of the training."""
    samples_per_second: float
    """Of the training."""
    answers_per_second: float
    """Test samples, in the evaluation."""
    peak_memory: int
    """Bytes, of the process that trained."""
    energy_joules: float | None
    """Of the training; None where it was not measured."""
    device: str
    beside: int
    """Other trainings of the comparison that ran at the same time on the same machine."""
    dataset: str
    """Key of the artifact (stage preprocess)."""
    training: str
    """Key of the artifact (stage train)."""
    evaluation: str
    """Key of the artifact (stage evaluate)."""
    machine: str = ""
    """The name of the one that trained; empty where it was not recorded."""


@dataclass(frozen=True)
class Answers:
    """What a network answered."""

    right: Answered
    predicted: np.ndarray
    """[n] int32, the class that it named for each sample."""


class Results:
    """The artifacts of a comparison, by role (`Plan.roles`), opened."""

    def __init__(self, plan: Plan, artifacts: Mapping[str, Artifact]) -> None:
        self.plan, self.artifacts = plan, artifacts
        self.classes = Dataset.open(self.of(next(plan.cells()), "preprocess").path).classes

    def of(self, cell: Cell, what: str) -> Artifact:
        """The artifact of that role."""
        return self.artifacts[cell.role(what)]

    def trained(self, cell: Cell) -> dict[str, Any]:
        """train.json."""
        return read_json(self.of(cell, "train").file("train.json"))

    @cached_property
    def machines(self) -> dict[Cell, str]:
        """The name of the machine of each training; empty where it was not recorded."""
        return {cell: self.trained(cell).get("machine", "") for cell in self.plan.cells()}

    def history(self, cell: Cell) -> dict[str, np.ndarray]:
        """Column -> [epochs] float64, NaN where there was nothing to measure."""
        return read_history(self.of(cell, "train").file("history.parquet"))

    def confusion(self, variant: Variant) -> np.ndarray:
        """[K, K] int64, over all seeds."""
        return np.sum([self._measured(cell)[0].confusion for cell in self.plan.cells_of(variant)], axis=0)

    def probe(self, probe: Probe) -> dict[str, np.ndarray]:
        """What it found."""
        return read_probe(self.artifacts[probe.role].file(FILE))

    def rows(self) -> list[Row]:
        """Of all trainings: network by network, backend by backend."""
        return [self._row(cell) for variant in self.plan.variants for cell in self.plan.cells_of(variant)]

    def answers(self) -> dict[Cell, Answers]:
        """Of all trainings. A RecurraError where two of one seed were not asked the same samples."""
        tables = {cell: self._answers(cell) for cell in self.plan.cells()}
        first = {seed: next(cell for cell in tables if cell.seed == seed) for seed in self.plan.seeds}
        for cell, table in tables.items():
            if table["source"] != tables[first[cell.seed]]["source"]:
                raise RecurraError(f"{cell.role()}: its test split is not that of the others of its seed; run again")
        samples = dict(zip(first, numbered([tables[cell]["source"] for cell in first.values()]), strict=True))
        return {cell: _opened(samples[cell.seed], table) for cell, table in tables.items()}

    def _answers(self, cell: Cell) -> pa.Table:
        predictions = Predictions(self.of(cell, "evaluate").file("predictions.parquet"))
        return pa.Table.from_batches(list(predictions.blocks(["source", "correct", "label", "predicted"])))

    def _measured(self, cell: Cell) -> tuple[Metrics, float]:
        """(what was measured on the test split, samples answered in a second)."""
        record = read_json(self.of(cell, "evaluate").file("metrics.json"))
        return Metrics.from_json(record), float(record["samples_per_second"])

    def _row(self, cell: Cell) -> Row:
        metrics, answers_per_second = self._measured(cell)
        record, headline = self.trained(cell), metrics.headline
        return Row(
            backend=cell.backend,
            model=cell.model,
            seed=cell.seed,
            accuracy=headline["accuracy"],
            accuracy_low=headline.get("accuracy_low"),
            accuracy_high=headline.get("accuracy_high"),
            macro_f1=headline["macro_f1"],
            log_loss=headline["log_loss"],
            test_samples=metrics.samples,
            parameters=record["parameters"],
            epochs=record["epochs_done"],
            best_epoch=record["best_epoch"],
            seconds=record["seconds"],
            samples_per_second=record["samples_per_second"],
            answers_per_second=answers_per_second,
            peak_memory=record["peak_memory"],
            energy_joules=record.get("energy_joules"),
            device=record["device"],
            beside=self._beside(cell),
            dataset=self.of(cell, "preprocess").key,
            training=self.of(cell, "train").key,
            evaluation=self.of(cell, "evaluate").key,
            machine=self.machines[cell],
        )

    def _beside(self, cell: Cell) -> int:
        """How many other trainings ran on its machine for a good part of its time, or for a good part of their own."""
        begin, end = _span(self.of(cell, "train"))
        count = 0
        there = [other for other, machine in self.machines.items() if machine == self.machines[cell]]
        for other in (other for other in there if other != cell):
            its_begin, its_end = _span(self.of(other, "train"))
            shorter = max(1e-9, min(end - begin, its_end - its_begin))
            count += (min(end, its_end) - max(begin, its_begin)) / shorter > TOGETHER
        return count


def _span(training: Artifact) -> tuple[float, float]:
    """When it was made, in seconds since the epoch."""
    end = datetime.fromisoformat(training.created).timestamp()
    return end - training.seconds, end


def _opened(samples: np.ndarray, table: pa.Table) -> Answers:
    correct, label, predicted = (table[name].to_numpy() for name in ("correct", "label", "predicted"))
    return Answers(Answered(samples, correct, label), predicted)


def write_rows(path: Path, found: Iterable[Row]) -> None:
    """The rows as Parquet, a column for each field of `Row`."""
    rows.write(path, Row, found)


def read_rows(path: Path) -> list[Row]:
    """The rows of a comparison.parquet."""
    return rows.read(path, Row)


def of_variant(found: Iterable[Row], variant: Variant) -> Iterator[Row]:
    """The rows of one variant, one a seed."""
    return (row for row in found if (row.backend, row.model) == (variant.backend, variant.model))
