"""What the trainings of a study came to: a row for each fraction, seed and arm, and the answers to each test sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from recurra import rows
from recurra.dataset import Dataset
from recurra.durable import read_json
from recurra.errors import RecurraError
from recurra.metrics import Metrics
from recurra.pairing import Answered, numbered
from recurra.predictions import Predictions
from recurra.store import Artifact
from recurra.study.plan import WITH_GENERATED, Cell, Plan, steps_of

TRAINED_ON = {
    arm: "augment" if arm in WITH_GENERATED else "preprocess" for arm in ("real", "generated", "classical", "both")
}
"""Arm -> the role of the dataset that it is trained on."""


@dataclass(frozen=True)
class Row:
    """One training of a recogniser, and what it achieved on the test split."""

    fraction: float
    seed: int
    arm: str
    accuracy: float
    macro_f1: float
    log_loss: float
    test_samples: int
    real: int
    """Real training samples."""
    generated: int
    """Generated ones beside them."""
    epochs: int
    """That were done."""
    best_epoch: int
    steps: int
    """Optimiser steps that were done."""
    seconds: float
    """Of the training."""
    dataset: str
    """Key of the artifact that it was trained on (stage preprocess or augment)."""
    training: str
    """Key of the artifact (stage train)."""
    evaluation: str
    """Key of the artifact (stage evaluate)."""


@dataclass(frozen=True)
class Generator:
    """The training of the GAN of one fraction and seed."""

    fraction: float
    seed: int
    real: int
    """Real samples that it saw."""
    epochs: int
    best_epoch: int
    seconds: float
    symptoms: tuple[str, ...]
    """What was wrong in the course of it."""
    training: str
    """Key of the artifact (stage train)."""


class Results:
    """The artifacts of a study, by role (`Cell.role`), opened."""

    def __init__(self, plan: Plan, artifacts: Mapping[str, Artifact]) -> None:
        self.plan, self.artifacts = plan, artifacts
        self.classes = self._dataset(next(plan.cells()), "preprocess").classes

    def of(self, cell: Cell, *what: str) -> Artifact:
        """The artifact of that role."""
        return self.artifacts[cell.role(*what)]

    def rows(self) -> list[Row]:
        """Of all arms, by fraction and seed."""
        return [self._row(cell, arm) for cell in self.plan.cells() for arm in self.plan.arms]

    def generators(self) -> list[Generator]:
        """Of all GANs, by fraction and seed."""
        return [self._generator(cell) for cell in self.plan.cells()]

    def metrics(self, cell: Cell, arm: str) -> Metrics:
        """What was measured on the test split."""
        return Metrics.from_json(read_json(self.of(cell, arm, "evaluate").file("metrics.json")))

    def answered(self, fraction: float) -> dict[tuple[str, int], Answered]:
        """(arm, seed) -> which test samples were right, on one fraction."""
        found: dict[tuple[str, int], pa.Table] = {}
        for cell in (Cell(fraction=fraction, seed=seed) for seed in self.plan.seeds):
            for arm in self.plan.arms:
                found[arm, cell.seed] = self._answers(cell, arm)
                if found[arm, cell.seed]["source"] != found[self.plan.arms[0], cell.seed]["source"]:
                    raise RecurraError(f"{cell.role(arm)}: its test split is not that of the other arms; run again")
        numbers = numbered([found[self.plan.arms[0], seed]["source"] for seed in self.plan.seeds])
        return {
            (arm, seed): Answered(samples, *(found[arm, seed][name].to_numpy() for name in ("correct", "label")))
            for seed, samples in zip(self.plan.seeds, numbers, strict=True)
            for arm in self.plan.arms
        }

    def _answers(self, cell: Cell, arm: str) -> pa.Table:
        predictions = Predictions(self.of(cell, arm, "evaluate").file("predictions.parquet"))
        return pa.Table.from_batches(list(predictions.blocks(["source", "correct", "label"])))

    def _dataset(self, cell: Cell, role: str) -> Dataset:
        return Dataset.open(self.of(cell, role).path)

    def _counts(self, cell: Cell, arm: str) -> tuple[int, int]:
        """(real, all) training samples of an arm."""
        real, trained_on = (self._dataset(cell, role).count("train") for role in ("preprocess", TRAINED_ON[arm]))
        return int(real.sum()), int(trained_on.sum())

    def _row(self, cell: Cell, arm: str) -> Row:
        metrics, training = self.metrics(cell, arm), self.of(cell, arm, "train")
        record, (real, trained_on) = read_json(training.file("train.json")), self._counts(cell, arm)
        headline = {name: metrics.headline[name] for name in ("accuracy", "macro_f1", "log_loss")}
        return Row(
            fraction=cell.fraction,
            seed=cell.seed,
            arm=arm,
            **headline,
            test_samples=metrics.samples,
            real=real,
            generated=trained_on - real,
            epochs=record["epochs_done"],
            best_epoch=record["best_epoch"],
            steps=steps_of(self.plan.experiment.train, trained_on, record["epochs_done"]),
            seconds=record["seconds"],
            dataset=self.of(cell, TRAINED_ON[arm]).key,
            training=training.key,
            evaluation=self.of(cell, arm, "evaluate").key,
        )

    def _generator(self, cell: Cell) -> Generator:
        training = self.of(cell, "gan")
        record = read_json(training.file("train.json"))
        return Generator(
            fraction=cell.fraction,
            seed=cell.seed,
            real=self._counts(cell, "real")[0],
            epochs=record["epochs_done"],
            best_epoch=record["best_epoch"],
            seconds=record["seconds"],
            symptoms=tuple(record.get("symptoms", ())),
            training=training.key,
        )


def write_rows(path: Path, found: Iterable[Row]) -> None:
    """The rows as Parquet, a column for each field of `Row`."""
    rows.write(path, Row, found)


def read_rows(path: Path) -> list[Row]:
    """The rows of a study.parquet."""
    return rows.read(path, Row)
