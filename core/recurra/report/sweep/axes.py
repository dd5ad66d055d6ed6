"""Where settings and values lie in a sweep's drawings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recurra.report import svg
from recurra.sweep.findings import Findings
from recurra.sweep.space import Choice, Range, shown
from recurra.sweep.trial import Trial
from recurra.wording import percent

ROOM = 3.0
"""The worst that is drawn to scale is so many times as far from the best as the median is."""
WORST = 0.1
"""Part of all epochs' values that may lie beyond a drawing of them."""
_LONGEST = 14
"""Characters of a mark."""


@dataclass(frozen=True)
class Field:
    """A field's own axis, from 0 to 1."""

    of: Range | Choice

    def at(self, value: object) -> float:
        """Where a value lies."""
        if isinstance(self.of, Choice):
            return (self.of.options.index(value) + 0.5) / len(self.of.options)
        low, high, value = (self._scaled(each) for each in (self.of.low, self.of.high, value))
        return (value - low) / (high - low)

    def _scaled(self, value: object) -> float:
        number = float(value)  # type: ignore[arg-type] - a range's values are numbers
        return math.log10(number) if isinstance(self.of, Range) and self.of.log else number

    def marks(self) -> list[tuple[float, str]]:
        """(place, text), from the axis' beginning to its end."""
        if isinstance(self.of, Choice):
            return [(self.at(option), svg.shortened(shown(option), _LONGEST)) for option in self.of.options]
        return [(self.at(value), f"{value:,.6g}") for value in self._numbers(self.of) if 0 <= self.at(value) <= 1]

    @staticmethod
    def _numbers(of: Range) -> Sequence[float]:
        if not of.log:
            found = svg.ticks(float(of.low), float(of.high), 4)
            return [value for value in found if value == int(value)] if of.whole else found
        first, last = math.floor(math.log10(of.low)), math.ceil(math.log10(of.high))
        every = max(1, round((last - first) / 5))
        decades = [10.0**power for power in range(first, last + 1, every)]
        inside = [value for value in decades if of.low <= value <= of.high]
        return inside if len(inside) > 1 else [m * value for value in decades for m in (1, 2, 5)]


@dataclass(frozen=True)
class Values:
    """What is drawn of the values of what is monitored: the best trials to scale, much worse ones at the edge."""

    low: float
    high: float
    monitored: str

    @classmethod
    def of(cls, found: Findings) -> Values:
        """Those of all trials."""
        done = [trial.value for trial in found.trials if trial.value is not None]
        best, median = float(found.best.value or 0.0), float(np.median(done))
        furthest = max(abs(best - value) for value in done)
        reach = max(min(furthest, ROOM * abs(best - median)) or furthest, 0.002 * max(1e-9, abs(best)))
        ends = (
            (best - 1.04 * reach, best + 0.07 * reach)
            if found.plan.rising
            else (best - 0.07 * reach, best + 1.04 * reach)
        )
        return cls(*ends, found.plan.monitored)

    @classmethod
    def of_curves(cls, found: Findings, trials: Sequence[Trial]) -> Values:
        """Those of the trials' epochs: the worst run out of the drawing."""
        values = np.array([value for trial in trials for _, value in trial.curve])
        low, high = np.quantile(values, (WORST, 1) if found.plan.rising else (0, 1 - WORST))
        room = 0.04 * float(high - low) or 0.01
        return cls(float(low) - room, float(high) + room, found.plan.monitored)

    def within(self, value: float) -> float:
        """The value, or the edge that it lies beyond."""
        return min(max(value, self.low), self.high)

    def marks(self, wanted: int = 5) -> list[tuple[float, str]]:
        """(value, text)."""
        found = svg.ticks(self.low, self.high, wanted)
        apart = found[1] - found[0] if len(found) > 1 else self.high - self.low
        if self.monitored != "val_accuracy":
            return [(value, f"{value:.6g}") for value in found]
        digits = max(0, -math.floor(math.log10(100 * apart) + 1e-9))
        return [(value, percent(value, digits)) for value in found if value <= 1]
