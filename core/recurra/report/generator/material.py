"""What the report of a GAN is made from: the artifacts of the earlier stages, opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from recurra.checkpoint import read_arrays
from recurra.dataset import Dataset
from recurra.durable import read_json
from recurra.experiment import Experiment
from recurra.history import read_history
from recurra.report.pictures import Shades
from recurra.store import Artifact

MEASURES = ("frechet", "kernel", "precision", "recall", "diversity")
"""What is measured against a floor."""
PREVIEW = "preview-"


@dataclass(frozen=True)
class Measure:
    """A measure of generated samples, and the same of real training samples."""

    value: float | None
    floor: float | None
    value_error: float | None = None
    """Standard errors, where they are known."""
    floor_error: float | None = None


@dataclass(frozen=True)
class Material:
    """The experiment and all that its stages found out."""

    experiment: Experiment
    artifacts: Mapping[str, Artifact]
    dataset: Dataset
    """The real one."""
    training: dict[str, Any]
    """train.json of the GAN."""
    history: dict[str, np.ndarray]
    """Column -> [epochs] float64, NaN where nothing was measured."""
    judge: dict[str, Any]
    """train.json of the recogniser that was trained on real samples."""
    student: dict[str, Any]
    """train.json of the recogniser that was trained on generated samples."""
    measured: dict[str, Any]
    """metrics.json, as `recurra.judgement.judging` documents it."""
    pictures: dict[str, np.ndarray]
    """pictures.safetensors, likewise."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""
        return self.dataset.classes

    @property
    def clips(self) -> bool:
        """Whether samples are clips."""
        return self.dataset.sample.kind == "clip"

    @cached_property
    def measures(self) -> dict[str, Measure]:
        """What is measured against a floor, by name; None for what could not be."""
        found = self.measured["measures"]
        return {name: Measure(**found.get(name, {"value": None, "floor": None})) for name in MEASURES}

    @cached_property
    def shades(self) -> Shades | None:
        """The one scale of all pictures, from the real and the generated samples; None for 8-bit values."""
        # Where there is no such sample, its place holds zeros; one that the judge cannot see says nothing of a scale.
        return Shades.between(
            *(self.pictures[kind][self.pictures[f"{kind}_seen"] >= 0] for kind in ("samples", "real"))
        )

    def previews(self, count: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """(epoch, the first `count` samples [n, T, H, W, C], their labels [n]) of each epoch whose samples were kept.

        In order; labels are the same in all.
        """
        train = self.artifacts["train"]
        for name in sorted(name for name in train.files if name.startswith(PREVIEW)):
            epoch = int(name.removeprefix(PREVIEW).removesuffix(".safetensors"))
            arrays, _ = read_arrays(train.file(name))
            yield epoch, arrays["pixels"][:count].copy(), arrays["labels"][:count]

    @property
    def tested_epoch(self) -> int:
        """The epoch whose weights generated all that was judged."""
        best_kept = self.experiment.train.keep == "best"
        return int(self.training["best_epoch" if best_kept else "epochs_done"])


def gather(experiment: Experiment, artifacts: Mapping[str, Artifact]) -> Material:
    """Opens the artifacts `preprocess`, `recogniser`, `train`, `student` and `evaluate`."""
    train, evaluate = artifacts["train"], artifacts["evaluate"]
    return Material(
        experiment=experiment,
        artifacts=artifacts,
        dataset=Dataset.open(artifacts["preprocess"].path),
        training=read_json(train.file("train.json")),
        history=read_history(train.file("history.parquet")),
        judge=read_json(artifacts["recogniser"].file("train.json")),
        student=read_json(artifacts["student"].file("train.json")),
        measured=read_json(evaluate.file("metrics.json")),
        pictures=read_arrays(evaluate.file("pictures.safetensors"))[0],
    )
