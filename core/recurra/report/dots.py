"""Dots with intervals: a row for each of several means, on one axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from recurra.intervals import Interval
from recurra.report import svg
from recurra.report.svg import Scale

WIDTH, RIGHT, ROW = 880.0, 600.0, 46.0
"""The drawing's width, where its axis ends, and the height of a row."""
GAP = 20.0


@dataclass(frozen=True)
class Dot:
    """One row."""

    label: str
    """What stands before it."""
    mean: float
    values: tuple[float, ...]
    """What the mean is of: small dots below it."""
    wide: Interval
    """The thin line."""
    narrow: Interval
    """The thick bar, within it."""
    said: str
    """What stands behind it, and below that."""
    within: str
    words: str
    """All of it in words, shown where the pointer rests."""
    style: str
    """Its class in the style sheet."""


@dataclass(frozen=True)
class Axis:
    """What the rows are drawn on."""

    low: float
    high: float
    left: float
    """Where it begins; the labels stand before it."""
    title: str
    shown: Callable[[float], str]
    """A tick's value in words."""


def dot_plot(rows: Sequence[Dot], axis: Axis, label: str) -> Markup:
    """The figure. What of an interval lies beyond the axis is not drawn."""
    x, foot = Scale(axis.low, axis.high, axis.left, RIGHT), ROW * len(rows)
    parts = [*_axis(axis, x, foot)]
    for number, row in enumerate(rows):
        parts.append(svg.group(_row(row, axis, x, ROW * (number + 0.5)), class_=f"row {row.style}"))
    return svg.figure(WIDTH, foot + 44, label, parts, "curves wide dots")


def _axis(axis: Axis, x: Scale, foot: float) -> Iterator[Markup]:
    # In hundredths, so that ticks of shares are round percentages.
    for value in svg.ticks(100 * axis.low, 100 * axis.high, 6):
        yield svg.line(x(value / 100), 0, x(value / 100), foot, "zero" if value == 0 and axis.low < 0 else "grid")
        yield svg.text(x(value / 100), foot + 18, axis.shown(value / 100), class_="tick mid")
    yield svg.text((axis.left + RIGHT) / 2, foot + 38, axis.title, class_="axis mid")


def _row(row: Dot, axis: Axis, x: Scale, y: float) -> Iterator[Markup]:
    yield svg.element("title", row.words)
    yield svg.text(axis.left - GAP, y + 4, row.label, class_="tick end")
    for interval, style in ((row.wide, "reach"), (row.narrow, "samples")):
        low, high = max(interval.low, axis.low), min(interval.high, axis.high)
        if low <= high:
            yield svg.line(x(low), y, x(high), y, style)
    for value in row.values:
        yield svg.element("circle", cx=x(value), cy=y + 11, r=2.0, class_="seed")
    yield svg.element("circle", cx=x(row.mean), cy=y, r=5.0, class_="mean")
    yield svg.text(RIGHT + GAP, y - 3, row.said, class_="said")
    yield svg.text(RIGHT + GAP, y + 12, row.within, class_="tick")
