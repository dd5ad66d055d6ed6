"""Tests of paired answers: whether two networks err equally often, and how far they answer alike.

McNemar's test (1947) in its exact form: of the answers that only one of two networks has right, each is as likely the
one's as the other's if both err equally often, so how many are the first one's is binomial with p = 1/2. It tells
networks that were trained from each other, not ways to train them (Dietterich, 1998). Summed over seeds it takes the
answers of several seeds to one sample as independent, which they are not quite, and is then somewhat too sure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value that two networks err equally often, from the answers that only one had right."""
    from scipy.special import bdtr

    fewer, all_ = min(only_first, only_second), only_first + only_second
    return min(1.0, 2 * float(bdtr(fewer, all_, 0.5)))


def holm(values: Sequence[float]) -> list[float]:
    """p-values of several tests -> those that may each be held against one level, in the same order (Holm, 1979)."""
    adjusted, least = [0.0] * len(values), 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=lambda place: values[place])):
        least = max(least, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = least
    return adjusted


def kappa(first: np.ndarray, second: np.ndarray, classes: int) -> float | None:
    """Cohen's kappa of two lists of answers [n] below `classes`; None where chance alone would agree on all."""
    counts = [np.bincount(said, minlength=classes) / len(said) for said in (first, second)]
    chance = float(counts[0] @ counts[1])
    return None if chance == 1 else (float((first == second).mean()) - chance) / (1 - chance)
