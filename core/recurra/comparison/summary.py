"""What the trainings of one variant come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose

import numpy as np

from recurra.comparison.plan import Variant
from recurra.intervals import Interval, over_seeds


@dataclass(frozen=True)
class Measured:
    """A number that every seed has."""

    values: tuple[float, ...]
    """One a seed."""
    interval: Interval | None
    """Of the mean, over seeds; None for a single seed."""

    @property
    def mean(self) -> float:
        """Over seeds."""
        return float(np.mean(self.values))

    @classmethod
    def of(cls, values: Sequence[float], low: float = -np.inf, high: float = np.inf) -> Measured:
        """With its 95% interval, as far as that lies where values can."""
        interval = over_seeds(values)
        return cls(tuple(values), interval.clipped(low, high) if interval else None)


@dataclass(frozen=True)
class Summary:
    """One network on one backend, over all seeds."""

    variant: Variant
    accuracy: Measured
    within: Interval
    """Of the mean accuracy, over test samples."""
    macro_f1: Measured
    log_loss: Measured
    seconds: Measured
    """Of one training."""
    samples_per_second: float
    """Of the training, mean over seeds."""
    answers_per_second: float
    """Of the evaluation, mean over seeds."""
    peak_memory: int
    """Bytes, of the process that trained; the largest."""
    energy_joules: float | None
    """Of one training, mean over seeds; None where it was not measured."""
    parameters: int
    epochs: tuple[int, ...]
    """That were done, one a seed."""
    best_epochs: tuple[int, ...]
    devices: tuple[str, ...]
    alike: float | None
    """Part of the test samples that two seeds take for the same class, over those that both have; None for a single
    seed, or where seeds share no test samples.
    """

    @property
    def interval(self) -> Interval:
        """Of the mean accuracy, over seeds and over test samples together."""
        return self.within.joined(self.accuracy.interval)


def most_accurate(summaries: Sequence[Summary]) -> list[Summary]:
    """Those with the highest mean accuracy: one, or several that had equally many test samples right."""
    highest = max(each.accuracy.mean for each in summaries)
    # Means of the same counts by seed, in another order, differ in their last digit.
    return [each for each in summaries if isclose(each.accuracy.mean, highest)]
