"""What a report is made from: the artifacts of the earlier stages, opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.dataset import Dataset
from recurra.durable import read_json
from recurra.experiment import Experiment
from recurra.history import read_history
from recurra.metrics import Metrics
from recurra.predictions import Predictions
from recurra.store import Artifact


@dataclass(frozen=True)
class Material:
    """The experiment and all that its stages found out."""

    experiment: Experiment
    artifacts: Mapping[str, Artifact]
    dataset: Dataset
    """The real one."""
    generated: Dataset | None
    """Generated samples that stood beside its training samples."""
    training: dict[str, Any]
    """train.json."""
    history: dict[str, np.ndarray]
    """Column -> [epochs] float64, NaN where there was nothing to measure."""
    metrics: Metrics
    samples_per_second: float
    """Of the evaluation."""
    predictions: Predictions

    @property
    def top_k(self) -> tuple[int, float]:
        """(k, the part of the test samples whose label is among the k likeliest classes)."""
        name = next(name for name in self.metrics.headline if name.startswith("top_"))
        return int(name.removeprefix("top_")), self.metrics.headline[name]

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95% interval of accuracy; None where it was not asked for."""
        headline = self.metrics.headline
        if "accuracy_low" not in headline:
            return None
        return headline["accuracy_low"], headline["accuracy_high"]


def gather(experiment: Experiment, artifacts: Mapping[str, Artifact]) -> Material:
    """Opens the artifacts `preprocess`, `train` and `evaluate`, and of a recogniser with generated samples
    `generate`.
    """
    train, evaluate = artifacts["train"], artifacts["evaluate"]
    measured = read_json(evaluate.file("metrics.json"))
    return Material(
        experiment=experiment,
        artifacts=artifacts,
        dataset=Dataset.open(artifacts["preprocess"].path),
        generated=Dataset.open(artifacts["generate"].path) if "generate" in artifacts else None,
        training=read_json(train.file("train.json")),
        history=read_history(train.file("history.parquet")),
        metrics=Metrics.from_json(measured),
        samples_per_second=float(measured["samples_per_second"]),
        predictions=Predictions(evaluate.file("predictions.parquet")),
    )
