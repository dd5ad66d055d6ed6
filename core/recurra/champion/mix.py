"""Two sets of samples compared at equal class shares: each class with itself, added up at the shares of the new set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CHANCE = 0.001
"""How seldom samples of one distribution go beyond what chance is said to exceed."""
LARGEST = 1000.0
"""Standard deviations; a shift beyond is told as this."""


@dataclass(frozen=True)
class Values:
    """Sums of a value over the samples of each class, [K] each."""

    sums: np.ndarray
    squares: np.ndarray


@dataclass(frozen=True)
class Mix:
    """How many samples of each class both sets have, [K]; 0 for a class that is not in both."""

    before: np.ndarray
    after: np.ndarray

    @classmethod
    def of(cls, before: np.ndarray, after: np.ndarray) -> Mix | None:
        """From samples of each class, [K] each; None where no class has samples in both."""
        shared = (before > 0) & (after > 0)
        return cls(np.where(shared, before, 0), np.where(shared, after, 0)) if shared.any() else None

    @property
    def weights(self) -> np.ndarray:
        """[K], the class shares of the new set, summing to 1."""
        return self.after / self.after.sum()

    @property
    def samples(self) -> int:
        """Of the new set."""
        return int(self.after.sum())

    @property
    def effective(self) -> float:
        """Samples that the old set is worth at these shares (Kish, 1965): 1 / sum(w^2 / m)."""
        return 1 / float((self.weights**2 / np.maximum(self.before, 1)).sum())

    def shares(self, counts: np.ndarray) -> np.ndarray:
        """[B] at these class shares, from what of each class lies in each bin, [K, B]."""
        return self.weights @ _by_class(counts)

    def shift(self, before: Values, after: Values, deviation: float) -> tuple[float, float, float, float]:
        """(mean before, mean after, difference over `deviation`, what chance exceeds), at these class shares."""
        from scipy.special import stdtrit

        old = float(self.weights @ (before.sums / np.maximum(1, self.before)))
        new = float(self.weights @ (after.sums / np.maximum(1, self.after)))
        free = np.maximum(0, self.before + self.after - 2)
        reach = float(stdtrit(max(1, free.sum()), 1 - CHANCE / 2)) * self._error(before, after, deviation, free)
        rounding = 1e-9 * max(abs(old), abs(new))
        # Where the champion's samples do not differ at all, a difference beyond chance is a large one.
        scale = max(deviation, rounding, 2 * reach / LARGEST) or 1.0
        difference = 0.0 if abs(new - old) <= rounding else new - old
        return old, new, float(np.clip(difference / scale, -LARGEST, LARGEST)), reach / scale

    def _error(self, before: Values, after: Values, deviation: float, free: np.ndarray) -> float:
        """The standard error of a difference of means: each class has a spread of its own, which both sets show."""
        apart = _apart(before, self.before) + _apart(after, self.after)
        variances = np.where(free > 0, apart / np.maximum(1, free), deviation**2)
        return float((self._variances * variances).sum() ** 0.5)

    @property
    def _variances(self) -> np.ndarray:
        """[K], for each class of samples with variance 1: what it adds to that of the difference of both means."""
        return self.weights**2 * (1 / np.maximum(1, self.before) + 1 / np.maximum(1, self.after))

    def index(self, before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
        """(population stability index, what chance exceeds), from what of each class lies in each bin, [K, B] each."""
        p, q, bins = self.shares(before), self.shares(after), before.shape[1]
        p = (p * self.effective + 0.5) / (self.effective + 0.5 * bins)
        q = (q * self.samples + 0.5) / (self.samples + 0.5 * bins)
        return float(((q - p) * np.log(q / p)).sum()), self._index_by_chance(before, after)

    def _index_by_chance(self, before: np.ndarray, after: np.ndarray) -> float:
        """Of n and m samples of one distribution the index is about the sum of (q - p)^2 / p, a quadratic form in
        normals; its quantile is that of the gamma distribution with its mean and variance (Satterthwaite, 1946).
        """
        from scipy.special import gammainccinv

        old, new = (part[:, None] * _by_class(counts) for part, counts in ((self.before, before), (self.after, after)))
        both = old + new
        all_ = self.weights @ _by_class(both)
        # One sample more, of all classes: few are no proof that a class has nothing in the other bins.
        each = (both + all_) / (self.before + self.after + 1)[:, None]
        parts = each * self._variances[:, None]
        covariance = np.diag(parts.sum(0)) - parts.T @ each
        there = all_ > 0
        form = (covariance / np.where(there, all_, 1)[:, None])[np.ix_(there, there)]
        mean, square = float(np.trace(form)), float((form * form.T).sum())
        return float(gammainccinv(mean**2 / (2 * square), CHANCE) * 2 * square / mean) if square > 0 else 0.0


def _by_class(counts: np.ndarray) -> np.ndarray:
    """What part of each class lies in each bin, [K, B]."""
    return counts / np.maximum(1e-300, counts.sum(1, keepdims=True))


def _apart(values: Values, counts: np.ndarray) -> np.ndarray:
    """[K], the sum of squared distances from the mean of each class; what is left of rounding is none."""
    apart = values.squares - values.sums**2 / np.maximum(1, counts)
    return np.where((counts > 0) & (apart > 1e-12 * values.squares), apart, 0.0)
