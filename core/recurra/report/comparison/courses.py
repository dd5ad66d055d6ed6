"""How trainings went, several on one drawing: learning curves, and by how much backends part."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from recurra.report import svg
from recurra.report.curves import BOTTOM, HEIGHT, LEFT, POINTS, RIGHT, TOP, WIDTH, values_axis
from recurra.report.svg import Scale

DECADES = 7
"""Powers of ten that an axis names at most."""
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Course:
    """One value in the course of one training."""

    words: str
    style: str
    """Its class in the style sheet."""
    xs: np.ndarray
    """[E] float64, rising."""
    ys: np.ndarray
    """[E] float64, NaN where it was not measured."""
    best: int | None = None
    """The place in xs that is marked."""

    @property
    def drawn(self) -> np.ndarray:
        """The places that are drawn: those that were measured, of a long training about POINTS of them."""
        at = np.flatnonzero(np.isfinite(self.ys))
        return at if len(at) <= POINTS else at[np.unique(np.linspace(0, len(at) - 1, POINTS).astype(int))]


def learning_plot(courses: Sequence[Course], across: str, title: str, share: bool) -> Markup:
    """The figure, a line for each training; `across` says what xs are. `share`: the values are shares, which end at
    1.
    """
    values = np.concatenate([course.ys[course.drawn] for course in courses])
    low, high = float(values.min()), float(values.max())
    room = 0.06 * (high - low) or 0.05 * (abs(high) or 1.0)
    y = Scale(max(0.0, low - room), min(1.0, high + room) if share else high + room, BOTTOM, TOP)
    return _plot(courses, across, title, y, values_axis(y, share))


def parting_plot(courses: Sequence[Course], title: str) -> Markup | None:
    """The figure of absolute differences over epochs, on a logarithmic axis; None where all of them are 0."""
    logs = [_logarithm(course) for course in courses]
    values = np.concatenate([course.ys[course.drawn] for course in logs])
    if not len(values):
        return None
    low, high = math.floor(values.min()), max(math.ceil(values.max()), math.floor(values.min()) + 1)
    y = Scale(float(low), float(high), BOTTOM, TOP)
    return _plot(logs, "epoch", title, y, _decades(y))


def _logarithm(course: Course) -> Course:
    sizes = np.abs(course.ys)
    logs = np.log10(sizes, out=np.full(len(sizes), np.nan), where=sizes > 0)
    return Course(course.words, course.style, course.xs, logs)


def _plot(courses: Sequence[Course], across: str, title: str, y: Scale, axis: Iterator[Markup]) -> Markup:
    x = _across(courses)
    parts = [*axis, *_below(x, across)]
    for course in courses:
        parts.append(svg.group(_course(course, x, y), class_=f"course {course.style}"))
    return svg.figure(WIDTH, HEIGHT, title, parts, "curves courses")


def _across(courses: Sequence[Course]) -> Scale:
    ends = [float(course.xs[place]) for course in courses for place in (0, -1)]
    first, last = min(ends), max(ends)
    return Scale(first, last, LEFT, RIGHT) if last > first else Scale(first - 1, last + 1, LEFT, RIGHT)


def _below(x: Scale, across: str) -> Iterator[Markup]:
    for value in svg.ticks(x.low, x.high, 6):
        if across != "epoch" or value == int(value):
            yield svg.text(x(value), BOTTOM + 18, f"{value:g}", class_="tick mid")
    yield svg.text((LEFT + RIGHT) / 2, HEIGHT - 4, across, class_="axis mid")


def _decades(y: Scale) -> Iterator[Markup]:
    low, high = int(y.low), int(y.high)
    step = -(-(high - low) // DECADES)
    for power in range(low, high + 1, step):
        yield svg.line(LEFT, y(power), RIGHT, y(power), "grid")
        yield svg.text(LEFT - 8, y(power) + 4, f"10{str(power).translate(_SUPERSCRIPT)}", class_="tick end")


def _course(course: Course, x: Scale, y: Scale) -> Iterator[Markup]:
    yield svg.element("title", course.words)
    at, xs, ys = course.drawn, course.xs.tolist(), course.ys.tolist()
    yield svg.path([x(xs[place]) for place in at], [y(ys[place]) for place in at], "curve")
    lone = at[:1].tolist() if len(at) == 1 else []  # which draws no line
    for place in sorted({*lone, *([] if course.best is None else [course.best])}):
        if math.isfinite(ys[place]):
            yield svg.element("circle", cx=x(xs[place]), cy=y(ys[place]), r=3.0, class_="dot")
