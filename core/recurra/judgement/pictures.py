"""What there is to look at of a GAN: the arrays of pictures.safetensors that `recurra.judgement.judging` lists."""

from __future__ import annotations

import numpy as np

from recurra.dataset import Dataset, Split
from recurra.generators import BuiltGan
from recurra.judgement.drawing import among, evenly
from recurra.judgement.memorisation import Pair
from recurra.judgement.walks import walks

CLASSES = 30
"""That are shown, at most."""
SAMPLES = {"image": 10, "clip": 4}
"""Of each class."""
STEPS = {"image": 8, "clip": 5}
"""Of a walk."""
WALKS = 6
"""Classes with one, at most."""
PAIRS = {"image": 10, "clip": 4}
"""Of generated samples and their nearest training samples."""
NO_SAMPLE = -1
"""In place of a class that the judge saw; `recurra.judgement.sight.NO_ANSWER` is another number."""


def table(split: Split, seen: np.ndarray, shown: np.ndarray, first: bool) -> tuple[np.ndarray, np.ndarray]:
    """Some samples of the classes `shown` [R], a row each [R, n, T, H, W, C], and what the judge took them for [R, n]
    (NO_SAMPLE where there are no more).

    The `first` ones, or such as are spread over the split evenly. seen: [N] int64, of the whole split.
    """
    labels, wanted = split.labels(), SAMPLES[split.sample.kind]
    pixels = np.zeros((len(shown), wanted, *split.sample.array), split.dtype)
    taken = np.full((len(shown), wanted), NO_SAMPLE, np.int64)
    for row, number in enumerate(shown.tolist()):
        count = min(wanted, int((labels == number).sum()))
        rows = np.flatnonzero(labels == number)[:count]
        if not first:
            rows = evenly(np.where(labels == number, 0, -1), np.array([count]))
        pixels[row, :count], taken[row, :count] = split.gather(rows), seen[rows]
    return pixels, taken


def walked(built: BuiltGan, dataset: Dataset, seed: int) -> dict[str, np.ndarray]:
    """`content`, `motion` and `walk_labels`."""
    labels = among(len(dataset.classes), WALKS)
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
