"""Learning curves: a value of training and validation over the epochs, the best epoch marked."""

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
class Curves:
    """What to draw."""

    title: str
    epochs: np.ndarray
    """[E] int, rising."""
    train: np.ndarray
    """[E] float64."""
    validation: np.ndarray
    """[E] float64, NaN where it was not measured."""
    best: int
    share: bool
    """Whether the values are shares, which end at 1 and are shown as percentages."""

    @property
    def label(self) -> str:
        """The figure in words."""
        words = f"{self.title} over {len(self.epochs)} epochs: training {_ends(self.train)}"
        if np.isfinite(self.validation).any():
            words += f", validation {_ends(self.validation)}"
        return f"{words}; best epoch {self.best}."

    def thinned(self) -> Curves:
        """The same with at most about POINTS epochs, the first, the last and the best among them."""
        if len(self.epochs) <= POINTS:
            return self
        best = np.searchsorted(self.epochs, self.best).clip(0, len(self.epochs) - 1)
        at = np.unique([*np.linspace(0, len(self.epochs) - 1, POINTS).astype(int), best])
        return Curves(self.title, self.epochs[at], self.train[at], self.validation[at], self.best, self.share)

    def scales(self) -> tuple[Scale, Scale]:
        """(epochs across, values up)."""
        first, last = float(self.epochs[0]), float(self.epochs[-1])
        if first == last:
            # A single epoch has no width: it stands in the middle.
            first, last = first - 1, last + 1
        values = np.concatenate([self.train, self.validation])
        values = values[np.isfinite(values)]
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        room = 0.06 * (high - low) or 0.05 * (abs(high) or 1.0)
        # A loss starts at 0 and a share ends at 1: no room is left beyond.
        high = min(1.0, high + room) if self.share else high + room
        return Scale(first, last, LEFT, RIGHT), Scale(max(0.0, low - room), high, BOTTOM, TOP)


def _ends(values: np.ndarray) -> str:
    return f"from {values[0]:.4g} to {values[-1]:.4g}"


def learning_curves(curves: Curves) -> Markup:
    """The figure."""
    shown = curves.thinned()
    x, y = shown.scales()
    parts = [*_values_axis(y, curves.share), *_epochs_axis(x, shown), *_lines(shown, x, y)]
    return svg.figure(WIDTH, HEIGHT, curves.label, parts, "curves")


def _values_axis(y: Scale, share: bool) -> Iterator[Markup]:
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


def _lines(curves: Curves, x: Scale, y: Scale) -> Iterator[Markup]:
    for values, name in ((curves.train, "train"), (curves.validation, "validation")):
        yield svg.path([x(e) for e in curves.epochs], [y(v) for v in values], f"curve {name}")
        for epoch, value in zip(curves.epochs, values, strict=True):
            # A lone epoch draws no line, so it needs its dot even where it is not the best.
            if np.isfinite(value) and (epoch == curves.best or len(values) == 1):
                yield svg.element("circle", cx=x(epoch), cy=y(value), r=3.5, class_=f"dot {name}")
