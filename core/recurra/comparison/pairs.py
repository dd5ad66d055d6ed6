"""One variant beside another: by how much it is better, how sure that is, and how often both answer the same.

A difference in accuracy is said to be one where the interval over seeds and that over test samples leave out 0, and
McNemar's test (`recurra.comparison.significance`) says that it is no chance, over all pairs together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from recurra.comparison.plan import Cell, Plan, Variant
from recurra.comparison.results import Answers
from recurra.comparison.significance import holm, kappa, mcnemar
from recurra.intervals import LEVEL, Interval, over_samples, over_seeds
from recurra.pairing import paired
from recurra.wording import points

Verdict = Literal["better", "worse", "none", "unknown"]


@dataclass(frozen=True)
class Pair:
    """How the accuracy of one variant differs from that of another, and how far their answers agree."""

    first: Variant
    second: Variant
    differences: tuple[float, ...]
    """Of accuracy, one a seed; above 0 where `first` is better."""
    over_seeds: Interval | None
    """Of the mean difference, over seeds; None for a single seed."""
    over_samples: Interval
    """Of the mean difference, over test samples."""
    only_first: int
    """Answers that only the first had right, over all seeds."""
    only_second: int
    p: float
    """McNemar's."""
    adjusted: float
    """Holm's, over all pairs of the comparison."""
    agreement: float
    """Part of the test samples that both take for the same class, over all seeds."""
    kappa: float | None
    """The same beyond chance (Cohen, 1960); None where both always name one class."""

    @property
    def mean(self) -> float:
        """The mean difference in accuracy."""
        return float(np.mean(self.differences))

    @property
    def interval(self) -> Interval:
        """Both intervals together: a difference must hold for other seeds and for other test samples."""
        return self.over_samples.joined(self.over_seeds)

    @property
    def verdict(self) -> Verdict:
        """Of the first. `unknown`: a single seed does not tell how much trainings differ anyway."""
        if self.over_seeds is None:
            return "unknown"
        if 0.0 in self.interval or self.adjusted > 1 - LEVEL:
            return "none"
        return "better" if self.mean > 0 else "worse"

    @property
    def apart(self) -> bool:
        """Whether these very networks err differently often, whatever another training would have brought."""
        return self.adjusted <= 1 - LEVEL

    @property
    def words(self) -> str:
        """The verdict in plain words."""
        first, second = self.first.words, self.second.words
        within = f"95% interval {points(self.interval.low)} to {points(self.interval.high)}"
        shown = f"{points(self.mean)} points, {within}, p {p_words(self.adjusted)}"
        if self.verdict in ("better", "worse"):
            return f"{first} is {self.verdict} than {second} ({shown})"
        if self.verdict == "unknown":
            found = "differ" if self.apart else "cannot be told apart"
            return f"{first} and {second}: these two networks {found} ({shown}); one seed does not tell of others"
        return f"{first} and {second}: no difference can be seen ({shown}){self._hint()}"

    @property
    def alone(self) -> bool:
        """Whether both differ in one thing only, the network or the backend."""
        return self.first.backend == self.second.backend or self.first.model == self.second.model

    def facing(self, variant: Variant) -> Pair:
        """The pair as seen from one of its two."""
        if variant == self.first:
            return self
        turned = replace(self, first=self.second, second=self.first, differences=tuple(-d for d in self.differences))
        return replace(
            turned,
            over_seeds=_turned(self.over_seeds) if self.over_seeds else None,
            over_samples=_turned(self.over_samples),
            only_first=self.only_second,
            only_second=self.only_first,
        )

    def _hint(self) -> str:
        """What would make it surer, where it is sure but for one thing."""
        if self.apart and 0.0 not in self.over_samples:
            return "; these very networks differ, more seeds could tell whether others do"
        return ""


def _turned(interval: Interval) -> Interval:
    return Interval(-interval.high, -interval.low)


def p_words(p: float) -> str:
    """0.0312 -> 0.031; what is very small is not shown as 0."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def pairs(plan: Plan, answers: Mapping[Cell, Answers], classes: int) -> list[Pair]:
    """Every two variants, the pairs that differ in one thing first: the network, then the backend."""
    found = [_pair(plan, answers, classes, *two) for two in combinations(plan.variants, 2)]
    adjusted = holm([pair.p for pair in found])
    found = [replace(pair, adjusted=p) for pair, p in zip(found, adjusted, strict=True)]
    return sorted(found, key=_strange)


def _strange(pair: Pair) -> int:
    if pair.first.backend == pair.second.backend:
        return 0
    return 1 if pair.first.model == pair.second.model else 2


def _pair(plan: Plan, answers: Mapping[Cell, Answers], classes: int, first: Variant, second: Variant) -> Pair:
    both = [
        (answers[ours], answers[theirs])
        for ours, theirs in zip(plan.cells_of(first), plan.cells_of(second), strict=True)
    ]
    right = [(ours.right, theirs.right) for ours, theirs in both]
    means = tuple(float(ours.correct.mean() - theirs.correct.mean()) for ours, theirs in right)
    only = [
        (int((ours.correct & ~theirs.correct).sum()), int((theirs.correct & ~ours.correct).sum()))
        for ours, theirs in right
    ]
    only_first, only_second = (sum(counts) for counts in zip(*only, strict=True))
    said = [np.concatenate([each.predicted for each in side]) for side in zip(*both, strict=True)]
    p = mcnemar(only_first, only_second)
    return Pair(
        first=first,
        second=second,
        differences=means,
        over_seeds=over_seeds(means),
        over_samples=over_samples(*paired(right)),
        only_first=only_first,
        only_second=only_second,
        p=p,
        adjusted=p,
        agreement=float((said[0] == said[1]).mean()),
        kappa=kappa(said[0], said[1], classes),
    )
