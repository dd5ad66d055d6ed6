"""What a judge sees: the class that it takes each sample for, and where it lies in the space; block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from recurra.batches import inference_batch
from recurra.contract import Classifier
from recurra.dataset import Split
from recurra.judgement.drawing import evenly, shares
from recurra.judgement.space import Space, fitted_rows
from recurra.normalisation import Normalisation

Blocks = Iterable[tuple[int, np.ndarray]]
"""(first row, x [n, T, H, W, C] float32, normalised)."""
NO_ANSWER = -2
"""In place of a class."""


@dataclass(frozen=True)
class Sight:
    """Of N samples, n of which are placed in the space."""

    seen: np.ndarray
    """[N] int64, the likeliest class; NO_ANSWER where the judge's answer is no finite number."""
    points: np.ndarray
    """[n, D] float64, those that were asked for, in order."""


def look(classifier: Classifier, space: Space, blocks: Blocks, placed: np.ndarray | None = None) -> Sight:
    """The blocks through the judge's eyes; `placed` [N] bool: which samples to place in the space, left out: all."""
    seen, points = [], [np.empty((0, space.components))]
    for start, x in blocks:
        logits = classifier.logits(x)
        seen.append(np.where(np.isfinite(logits).all(axis=1), logits.argmax(axis=1), NO_ANSWER))
        chosen = slice(None) if placed is None else placed[start : start + len(x)]
        if len(x[chosen]):
            points.append(space.project(classifier.features(x[chosen])))
    return Sight(np.concatenate(seen).astype(np.int64), np.concatenate(points))


def in_rows(split: Split, normalisation: Normalisation, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(place among `rows`, x) of some rows of a split, which are read as they are needed."""
    size = inference_batch(split.sample.array)
    for start in range(0, len(rows), size):
        yield start, normalisation.apply(split.gather(rows[start : start + size]))


def in_blocks(split: Split, normalisation: Normalisation) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, x) of all of a split, which is read once and never held."""
    start = 0
    for pixels in split.blocks(inference_batch(split.sample.array)):
        yield start, normalisation.apply(pixels)
        start += len(pixels)


def space_of(classifier: Classifier, split: Split, normalisation: Normalisation, components: int) -> Space:
    """The judge's space of a split: of as many of its samples as `fitted_rows` allows, evenly of all classes.

    Of all rather than of those that are compared: components of few samples follow these more than they follow others.
    """
    labels = split.labels()
    first = classifier.features(next(in_rows(split, normalisation, np.zeros(1, np.int64)))[1])
    rows = evenly(labels, shares(np.bincount(labels), fitted_rows(first.shape[1])))
    features = np.empty((len(rows), first.shape[1]), np.float32)
    for start, x in in_rows(split, normalisation, rows):
        features[start : start + len(x)] = classifier.features(x)
    return Space.of(features, components)
