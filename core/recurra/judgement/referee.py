"""The referee of a GAN's training: what the samples of an epoch are worth beside real training samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from recurra.contract import Classifier
from recurra.dataset import Dataset
from recurra.experiment import Generated
from recurra.judgement.distances import diversity, frechet, kernel, precision_recall
from recurra.judgement.drawing import evenly, shares
from recurra.judgement.sight import Blocks, in_rows, look, space_of


@dataclass(frozen=True)
class Verdict:
    """What a judge finds. Distances are in the space of its own features: they compare GANs that have one judge, and
    are not the published FID and KID. NaN for what could not be told.
    """

    frechet: float
    """Frechet distance of the judge's features (`recurra.judgement.distances`)."""
    kernel: float
    """Squared maximum mean discrepancy of the judge's features."""
    precision: float
    """Part of the generated samples that lie among real ones."""
    recall: float
    """Part of the real samples that lie among generated ones."""
    label_accuracy: float
    """Part of the generated samples that the judge takes for the class that they were meant to be."""
    diversity: np.ndarray
    """[K], of each class's generated samples over its real ones'."""
    class_accuracy: np.ndarray
    """[K], `label_accuracy` of each class."""

    def row(self) -> dict[str, float | None]:
        """One number each, None for NaN; of the classes' diversities the least."""
        known = self.diversity[np.isfinite(self.diversity)]
        names = ("frechet", "kernel", "precision", "recall", "label_accuracy")
        found = {name: getattr(self, name) for name in names}
        found["diversity"] = float(known.min()) if len(known) else math.nan
        return {name: float(value) if math.isfinite(value) else None for name, value in found.items()}


class Referee:
    """Measures generated samples against `count` real ones: of the training split, of every class as many (as far as it
    has them), always the same.
    """

    def __init__(self, classifier: Classifier, dataset: Dataset, settings: Generated, samples: int) -> None:
        split = dataset.splits["train"]
        labels, self.classes = split.labels(), len(dataset.classes)
        self.classifier, self.neighbours = classifier, settings.neighbours
        self.count = max(self.classes, min(samples, len(labels)))
        rows = evenly(labels, shares(np.bincount(labels, minlength=self.classes), self.count))
        self.space = space_of(classifier, split, dataset.normalisation, settings.components)
        self.labels = labels[rows]
        self.real = look(classifier, self.space, in_rows(split, dataset.normalisation, rows)).points

    def measure(self, blocks: Blocks, labels: np.ndarray) -> Verdict:
        """What generated samples are worth: (first row, x [n, T, H, W, C] float32, normalised) over all labels [N]."""
        sight = look(self.classifier, self.space, blocks)
        precision, recall = precision_recall(self.real, sight.points, self.neighbours)
        right = sight.seen == labels
        return Verdict(
            frechet=frechet(self.real, sight.points),
            kernel=kernel(self.real, sight.points),
            precision=precision,
            recall=recall,
            label_accuracy=float(right.mean()),
            diversity=diversity(self.real, self.labels, sight.points, labels, self.classes),
            class_accuracy=shares_right(right, labels, self.classes),
        )


def shares_right(right: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """[K] float64: the part of each class's samples that are right; NaN for a class without samples."""
    totals = np.bincount(labels, minlength=classes)
    found = np.bincount(labels, right, minlength=classes)
    return np.divide(found, totals, out=np.full(classes, np.nan), where=totals > 0)
