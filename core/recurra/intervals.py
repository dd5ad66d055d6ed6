"""How sure a mean is: over seeds by Student's t, over test samples by the bootstrap; all intervals are of 95%."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
RESAMPLES = 10_000
_AT_ONCE = 1 << 22
"""Counts drawn together, so that memory stays small whatever is resampled."""


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`, both included."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def joined(self, other: Interval | None) -> Interval:
        """The least interval that holds both."""
        return self if other is None else Interval(min(self.low, other.low), max(self.high, other.high))

    def clipped(self, low: float, high: float) -> Interval:
        """What of it lies between two bounds."""
        return Interval(max(low, self.low), min(high, self.high))


def over_seeds(values: Sequence[float] | np.ndarray) -> Interval | None:
    """The interval of the mean of some values, one a seed (Student, 1908); None where there are fewer than two.

    mean +- t s / sqrt(n), with s the standard deviation (n - 1) and t the quantile of n - 1 degrees of freedom. It says
    how far the mean of other seeds may lie, if what differs between seeds is about normal.
    """
    from scipy.special import stdtrit

    array = np.asarray(values, np.float64)
    if len(array) < 2:
        return None
    reach = float(stdtrit(len(array) - 1, 0.5 + LEVEL / 2) * array.std(ddof=1) / np.sqrt(len(array)))
    return Interval(float(array.mean()) - reach, float(array.mean()) + reach)


def over_samples(differences: np.ndarray, tested: np.ndarray, seed: int = 0) -> Interval:
    """The interval of a mean difference in accuracy over test samples: the paired percentile bootstrap (Efron, 1979).

    differences [N, S] int8: for each test sample and seed 1, 0 or -1, what was right less what the other had right.
    tested [N, S] bool: whether that seed's test split has the sample; seeds may have other splits. In each resample
    samples are drawn with replacement, each with its answers of all seeds; the difference is the mean over seeds of the
    mean over the drawn samples of the seed. Equal input gives equal output.

    Samples with equal rows are alike, and of drawing N of N only the number of each kind matters, which is multinomial:
    the same distribution as by drawing, without an array of resamples x N.
    """
    coded = np.where(tested, differences, 2).astype(np.int8)
    kinds, counts = np.unique(coded, axis=0, return_counts=True)
    there = kinds != 2
    right = np.where(there, kinds, 0).astype(np.float64)
    means = np.concatenate([drawn @ right / np.maximum(1, drawn @ there) for drawn in _drawn(counts, seed)]).mean(1)
    low, high = np.quantile(means, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return Interval(float(low), float(high))


def _drawn(counts: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """How many of each kind each resample has, [some resamples, kinds]; RESAMPLES in all."""
    generator, total = np.random.Generator(np.random.Philox(seed)), int(counts.sum())
    rows = max(1, _AT_ONCE // len(counts))
    for start in range(0, RESAMPLES, rows):
        yield generator.multinomial(total, counts / total, min(rows, RESAMPLES - start)).astype(np.float64)
