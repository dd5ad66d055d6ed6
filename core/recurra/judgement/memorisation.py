"""Whether a GAN copies its training samples: how near generated samples lie to them, beside how near real ones do.

Lying near is not copying: samples of little variety lie near everything that is real. Copies are nearer to training
samples than to other real ones (the three-sample idea of Meehan, Chaudhuri and Dasgupta, 2020), which `nearer` counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from recurra.judgement.distances import blocks, squared_distances

UNUSUAL = 0.01
"""The part of real test samples that are nearer to a training sample than the threshold."""
SURE = 2.576
"""Standard deviations on either side of a 99% interval."""


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
    """Generated over test. Well below 1: copies with small changes, or samples of little variety."""
    share: float
    """Of generated samples that are nearer to a training sample than 99% of the test samples are."""
    expected: float
    """What `share` is of test samples themselves: 0.01, or more of fewer than a hundred."""
    threshold: float
    """The distance that tells."""
    pairs: tuple[Pair, ...]
    """The nearest of all, the nearest first."""


@dataclass(frozen=True)
class Nearer:
    """Whether generated samples lie nearer to training samples than to as many test samples."""

    share: float
    """Of generated samples whose nearest real one is a training sample; of new samples 0.5, whatever their variety."""
    low: float
    """Of the 99% interval."""
    high: float
    """Likewise."""
    copies: float
    """What `share` is where all generated samples are copies, of whichever training samples: of n among N, half of
    those whose original is not among the n are nearer by chance.
    """
    compared: int
    """n, the training samples and the test samples."""


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


def nearer(generated: np.ndarray, train: np.ndarray, test: np.ndarray, all_train: int) -> Nearer:
    """Of points generated [G, D], train and test [n, D] both, as many of each class; `all_train` samples were learnt
    from.

    The interval is Wilson's. Generated samples with one nearest real sample do not count as independent: with c_r of
    them at real sample r, there are G^2 / sum c_r^2 (Kish, 1965), so that a generator of few different samples proves
    little.
    """
    count = len(test)
    known, new = Nearest(generated), Nearest(generated)
    known.meet(0, train)
    new.meet(0, test)
    if not count or not len(generated) or (known.rows < 0).any() or (new.rows < 0).any():
        return Nearer(*[math.nan] * 4, compared=count)
    ahead = np.sign(new.distances - known.distances)  # 0 where one sample is in both
    share = float((ahead + 1).mean() / 2)
    nearest = np.where(ahead >= 0, known.rows, len(train) + new.rows)
    independent = len(generated) ** 2 / float(np.square(np.bincount(nearest).astype(np.float64)).sum())
    return Nearer(share, *wilson(share, independent), copies=(1 + len(train) / all_train) / 2, compared=count)


def wilson(share: float, count: float, deviations: float = SURE) -> tuple[float, float]:
    """The interval of a share of `count` trials (Wilson, 1927)."""
    shrink = 1 + deviations**2 / count
    centre = (share + deviations**2 / (2 * count)) / shrink
    half = deviations / shrink * math.sqrt(share * (1 - share) / count + (deviations / (2 * count)) ** 2)
    return max(0.0, centre - half), min(1.0, centre + half)
