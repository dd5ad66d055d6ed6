"""Learning curves: some values over the epochs, the best epoch marked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from recurra.report import svg
from recurra.report.svg import Scale

POINTS = 400
"""Epochs that a curve shows at most; a longer history is thinned evenly."""
WIDTH, HEIGHT = 440.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 426.0, 14.0, 222.0


@dataclass(frozen=True)
class Line:
    """One value over the epochs."""

    name: str
    """What it is, in words."""
    style: str
    """Its class in the style sheet."""
    values: np.ndarray
    """[E] float64, NaN where it was not measured."""

    @property
    def ends(self) -> str:
        """Its first and its last value, in words."""
        found = self.values[np.isfinite(self.values)]
        return f"{self.name} from {found[0]:.4g} to {found[-1]:.4g}"

    @property
    def measured(self) -> bool:
        """Whether it has a value in any epoch."""
        return bool(np.isfinite(self.values).any())


@dataclass(frozen=True)
class Curves:
    """What to draw."""

    title: str
    epochs: np.ndarray
    """[E] int, rising."""
    lines: tuple[Line, ...]
    best: int
    share: bool = False
    """Whether the values are shares, which end at 1 and are shown as percentages."""
    level: float | None = None
    """Where a dashed line goes across, to compare the values with."""

    @property
    def label(self) -> str:
        """The figure in words."""
        ends = ", ".join(line.ends for line in self.lines if line.measured)
        return f"{self.title} over {len(self.epochs)} epochs: {ends}; best epoch {self.best}."

    def points(self, line: Line) -> tuple[np.ndarray, np.ndarray]:
        """(epochs, values) of a line where it was measured: at most about POINTS, first, last and best among them."""
        at = np.flatnonzero(np.isfinite(line.values))
        if len(at) > POINTS:
            best = np.searchsorted(self.epochs[at], self.best).clip(0, len(at) - 1)
            at = at[np.unique([*np.linspace(0, len(at) - 1, POINTS).astype(int), best])]
        return self.epochs[at], line.values[at]

    def scales(self) -> tuple[Scale, Scale]:
        """(epochs across, values up)."""
        first, last = float(self.epochs[0]), float(self.epochs[-1])
        if first == last:
            # A single epoch has no width: it stands in the middle.
            first, last = first - 1, last + 1
        values = np.concatenate([self.points(line)[1] for line in self.lines])
        if self.level is not None:
            values = np.append(values, self.level)
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        room = 0.06 * (high - low) or 0.05 * (abs(high) or 1.0)
        # What is never negative starts at 0 and a share ends at 1: no room is left beyond.
        low = low - room if low < 0 else max(0.0, low - room)
        high = min(1.0, high + room) if self.share else high + room
        return Scale(first, last, LEFT, RIGHT), Scale(low, high, BOTTOM, TOP)


def learning_curves(curves: Curves) -> Markup:
    """The figure."""
    x, y = curves.scales()
    parts = [*values_axis(y, curves.share), *_epochs_axis(x, curves), *_level(curves, y), *_lines(curves, x, y)]
    return svg.figure(WIDTH, HEIGHT, curves.label, parts, "curves")


def values_axis(y: Scale, share: bool) -> Iterator[Markup]:
    """Lines across and their values on the left."""
    values = svg.ticks(y.low, y.high)
    step = 100 * (values[1] - values[0]) if len(values) > 1 else 1.0
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    for value in values:
        yield svg.line(LEFT, y(value), RIGHT, y(value), "grid")
        label = f"{100 * value:.{digits}f}%" if share else f"{value:g}"
        yield svg.text(LEFT - 8, y(value) + 4, label, class_="tick end")


def _epochs_axis(x: Scale, curves: Curves) -> Iterator[Markup]:
    for value in svg.ticks(x.low, x.high, 6):
        if value == int(value) and curves.epochs[0] <= value <= curves.epochs[-1]:
            yield svg.text(x(value), BOTTOM + 18, f"{int(value)}", class_="tick mid")
    yield svg.text((LEFT + RIGHT) / 2, HEIGHT - 4, "epoch", class_="axis mid")
    if curves.epochs[0] <= curves.best <= curves.epochs[-1]:
        yield svg.line(x(curves.best), TOP, x(curves.best), BOTTOM, "best")


def _level(curves: Curves, y: Scale) -> Iterator[Markup]:
    if curves.level is not None:
        yield svg.line(LEFT, y(curves.level), RIGHT, y(curves.level), "level")


def _lines(curves: Curves, x: Scale, y: Scale) -> Iterator[Markup]:
    for line in curves.lines:
        epochs, values = curves.points(line)
        yield svg.path([x(e) for e in epochs], [y(v) for v in values], f"curve {line.style}")
        for epoch, value in zip(epochs, values, strict=True):
            # A lone epoch draws no line, so it needs its dot even where it is not the best.
            if epoch == curves.best or len(values) == 1:
                yield svg.element("circle", cx=x(epoch), cy=y(value), r=3.5, class_=f"dot {line.style}")
