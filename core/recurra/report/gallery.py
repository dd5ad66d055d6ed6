"""Samples worth looking at: the surest mistakes, and some of each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recurra.dataset import Dataset
from recurra.report.material import Material
from recurra.report.pictures import Picture, frames
from recurra.wording import percent

MISTAKES = {"image": 24, "clip": 12}
CLASSES = 30
"""Classes that are shown with examples at most."""


@dataclass(frozen=True)
class Mistake:
    """A wrong answer and what it was about."""

    pictures: list[Picture]
    true: str
    predicted: str
    confidence: str
    source: str


@dataclass(frozen=True)
class ClassExamples:
    """A class in the data."""

    name: str
    counts: list[int | None]
    """Samples of it in each split; None where the split has none at all."""
    pictures: list[Picture]
    """Of real training samples."""
    generated: int
    """Generated samples of it that stood beside them."""
    generated_pictures: list[Picture]


def _strip(sample: np.ndarray) -> list[Picture]:
    return frames(sample, 8, side=112 if len(sample) == 1 else 56)


def surest_mistakes(material: Material) -> list[Mistake]:
    """The wrong answers of highest confidence, the surest first."""
    rows = material.predictions.mistakes(MISTAKES[material.dataset.sample.kind]).to_pylist()
    if not rows:
        return []
    pixels = material.dataset.splits["test"].gather([row["sample"] for row in rows])
    return [
        Mistake(_strip(sample), row["class"], row["predicted_class"], percent(row["confidence"]), row["source"])
        for row, sample in zip(rows, pixels, strict=True)
    ]


def _spread(labels: np.ndarray, number: int, count: int) -> np.ndarray:
    """Up to `count` rows of a class, spread evenly over the split, so that they are not all of one recording."""
    rows = np.flatnonzero(labels == number)
    count = min(count, len(rows))
    return rows[((np.arange(count) + 0.5) * len(rows) / max(1, count)).astype(int)]


def class_examples(dataset: Dataset, generated: Dataset | None = None) -> list[ClassExamples]:
    """The first classes of the data with training samples, several images each or one clip; with `generated`, as many
    of these.
    """
    classes = len(dataset.classes)
    labels = {name: split.labels() for name, split in dataset.splits.items()}
    counts = {name: np.bincount(values[values >= 0], minlength=classes) for name, values in labels.items()}
    made = np.zeros(classes, np.int64) if generated is None else generated.count("train")
    pictures, others = _of_classes(dataset), _of_classes(generated) if generated else [[]] * classes
    return [
        ClassExamples(
            dataset.classes[number],
            [int(counts[name][number]) if name in counts else None for name in ("train", "validation", "test")],
            pictures[number],
            int(made[number]),
            others[number],
        )
        for number in range(min(CLASSES, classes))
    ]


def _of_classes(dataset: Dataset) -> list[list[Picture]]:
    """Of each of the first classes some training samples."""
    split = dataset.splits["train"]
    labels = split.labels()
    each = 1 if dataset.sample.kind == "clip" else 7 if len(dataset.classes) <= 12 else 4
    chosen = [_spread(labels, number, each) for number in range(min(CLASSES, len(dataset.classes)))]
    samples = np.split(split.gather(np.concatenate(chosen)), np.cumsum([len(rows) for rows in chosen])[:-1])
    return [[picture for sample in own for picture in frames(sample, 8, side=56)] for own in samples]
