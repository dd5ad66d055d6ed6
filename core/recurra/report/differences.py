"""Axes of differences in accuracy: how far they go, and what stands below them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from recurra.intervals import Interval
from recurra.wording import points

DIFFERENCE = "difference in accuracy, percentage points"


def reach(drawn: Iterable[tuple[Sequence[float], Interval, Interval]]) -> float:
    """How far an axis has to go on both sides of 0, of (differences, narrow, wide interval) each; less than the widest
    interval where that would hide all others.
    """
    drawn = list(drawn)
    effects = [abs(value) for values, narrow, _ in drawn for value in (*values, narrow.low, narrow.high)]
    widest = max(abs(end) for _, _, wide in drawn for end in (wide.low, wide.high))
    return max(0.01, min(1.08 * widest, 2.5 * max(effects)))


def short_points(difference: float) -> str:
    """0.02 -> +2: a tick's value in percentage points."""
    return points(difference).removesuffix(".0")
