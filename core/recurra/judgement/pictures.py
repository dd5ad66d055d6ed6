"""What there is to look at of a GAN: the arrays of pictures.safetensors that `recurra.judgement.judging` lists."""

from __future__ import annotations

import numpy as np

from recurra.dataset import Dataset, Split
from recurra.generators import BuiltGan
from recurra.judgement.drawing import evenly
from recurra.judgement.memorisation import Pair
from recurra.judgement.walks import walks

SAMPLES = {"image": 10, "clip": 4}
"""Of each class."""
STEPS = {"image": 8, "clip": 5}
"""Of a walk."""
WALKS = 6
"""Classes with one, at most."""
PAIRS = {"image": 10, "clip": 4}
"""Of generated samples and their nearest training samples."""


def table(split: Split, seen: np.ndarray, classes: int, first: bool) -> tuple[np.ndarray, np.ndarray]:
    """Some samples of each class [K, n, T, H, W, C] and what the judge took them for [K, n] (-1: no such sample).

    The `first` ones, or such as are spread over the split evenly. seen: [N] int64, of the whole split.
    """
    labels, wanted = split.labels(), SAMPLES[split.sample.kind]
    pixels = np.zeros((classes, wanted, *split.sample.array), split.dtype)
    taken = np.full((classes, wanted), -1, np.int64)
    for number in range(classes):
        count = min(wanted, int((labels == number).sum()))
        rows = np.flatnonzero(labels == number)[:count]
        if not first:
            rows = evenly(np.where(labels == number, 0, -1), np.array([count]))
        pixels[number, :count], taken[number, :count] = split.gather(rows), seen[rows]
    return pixels, taken


def walked(built: BuiltGan, dataset: Dataset, seed: int) -> dict[str, np.ndarray]:
    """`content`, `motion` and `walk_labels`."""
    classes = len(dataset.classes)
    labels = np.unique(np.linspace(0, classes - 1, min(WALKS, classes)).round().astype(np.int64))
    content, motion = walks(built, seed, labels, STEPS[dataset.sample.kind])
    restored = {"content": content, "motion": motion}
    pixels = {name: dataset.normalisation.restore(x, dataset.dtype) for name, x in restored.items()}
    return {**pixels, "walk_labels": labels}


def neighbours(generated: Split, train: Split, pairs: tuple[Pair, ...]) -> dict[str, np.ndarray]:
    """`neighbours`, `neighbours_labels` and `neighbours_distance`."""
    rows = np.array([[pair.generated, pair.train] for pair in pairs], np.int64).reshape(-1, 2)
    sides = list(zip((generated, train), rows.T, strict=True))
    return {
        "neighbours": np.stack([split.gather(own) for split, own in sides], axis=1),
        "neighbours_labels": np.stack([split.labels()[own] for split, own in sides], axis=1),
        "neighbours_distance": np.array([pair.distance for pair in pairs], np.float64),
    }
