"""Whether a GAN copies its training samples: how near generated samples lie to them, beside how near real ones do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recurra.judgement.distances import blocks, squared_distances

UNUSUAL = 0.01
"""The part of real test samples that are nearer to a training sample than the threshold."""


@dataclass(frozen=True)
class Pair:
    """A generated sample and the training sample nearest to it, by their rows."""

    generated: int
    train: int
    distance: float


@dataclass(frozen=True)
class Memorisation:
    """Distances to the nearest training sample, in the judge's space. NaN where there is nothing to compare."""

    generated: float
    """The median of generated samples."""
    test: float
    """The median of real test samples: what distances are without memory."""
    ratio: float
    """Generated over test. Well below 1: the samples are copies, with small changes."""
    share: float
    """Of generated samples that are nearer to a training sample than 99% of the test samples are."""
    expected: float
    """What `share` is of test samples themselves: 0.01, or more of fewer than a hundred."""
    threshold: float
    """The distance that tells."""
    pairs: tuple[Pair, ...]
    """The nearest of all, the nearest first."""


class Nearest:
    """The training sample nearest to each of some points, found as training samples come by."""

    def __init__(self, points: np.ndarray) -> None:
        self.points = points
        self.distances = np.full(len(points), np.inf)
        """[N], so far."""
        self.rows = np.full(len(points), -1, np.int64)
        """[N], so far; the first of equals."""

    def meet(self, start: int, train: np.ndarray) -> None:
        """Training points [n, D], whose first is row `start`."""
        for block in blocks(self.points, len(train)):
            found = squared_distances(self.points[block], train).argmin(axis=1)
            # Once more: squares lose the last half of a small distance's digits.
            distances = np.linalg.norm(self.points[block] - train[found], axis=1)
            nearer = distances < self.distances[block]
            self.distances[block] = np.where(nearer, distances, self.distances[block])
            self.rows[block] = np.where(nearer, start + found, self.rows[block])


def memorisation(generated: Nearest, test: Nearest, rows: np.ndarray, pairs: int) -> Memorisation:
    """What the distances say, and the `pairs` nearest of generated and training samples.

    rows: [N] int64, the generated samples' own.
    """
    order = np.argsort(generated.distances, kind="stable")[:pairs]
    order = order[generated.rows[order] >= 0]
    nearest = tuple(Pair(int(rows[i]), int(generated.rows[i]), float(generated.distances[i])) for i in order)
    if not len(generated.points) or not len(test.points):
        return Memorisation(*[float("nan")] * 6, pairs=nearest)
    medians = float(np.median(generated.distances)), float(np.median(test.distances))
    threshold = float(np.quantile(test.distances, UNUSUAL))
    return Memorisation(
        generated=medians[0],
        test=medians[1],
        ratio=medians[0] / medians[1] if medians[1] else float("nan"),
        share=float((generated.distances <= threshold).mean()),
        expected=float((test.distances <= threshold).mean()),
        threshold=threshold,
        pairs=nearest,
    )
