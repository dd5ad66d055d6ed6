"""A study's drawings: accuracy over the part of the training data, and how the arms differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from recurra.report import svg
from recurra.report.differences import DIFFERENCE, reach, short_points
from recurra.report.dots import Axis, Dot, dot_plot
from recurra.report.svg import Scale
from recurra.study.answer import part
from recurra.study.comparison import NAMES, SUBJECTS, Comparison
from recurra.study.findings import Summary
from recurra.wording import percent, points

WIDTH, HEIGHT = 880.0, 360.0
LEFT, RIGHT, TOP, BOTTOM = 60.0, 864.0, 16.0, 316.0
APART = 9.0
"""Pixels between the arms at one fraction, so that their intervals do not hide each other."""
VERDICTS = {"helps": "helps", "harms": "harms", "none": "no difference seen", "unknown": "cannot be told"}


@dataclass(frozen=True)
class _Place:
    """Where things go in the plot of accuracies."""

    x: Scale
    y: Scale
    arms: tuple[str, ...]

    def across(self, fraction: float, arm: str) -> float:
        """An arm's place beside the fraction's own."""
        return self.x(math.log(fraction)) + APART * (self.arms.index(arm) - (len(self.arms) - 1) / 2)


def accuracy_plot(summaries: Sequence[Summary]) -> Markup:
    """Mean accuracy over the fraction (logarithmic), a line for each arm with its 95% intervals; each seed is a dot."""
    place = _placed(summaries)
    parts = [*_axes(place, summaries)]
    for arm in place.arms:
        parts.append(svg.group(_arm(place, [each for each in summaries if each.arm == arm]), class_=f"arm {arm}"))
    words = "; ".join(f"{part(each.fraction)} {NAMES[each.arm]} {percent(each.mean)}" for each in summaries)
    return svg.figure(
        WIDTH, HEIGHT, f"Accuracy over the part of the training data: {words}.", parts, "curves wide study"
    )


def _placed(summaries: Sequence[Summary]) -> _Place:
    first, last = (math.log(end(each.fraction for each in summaries)) for end in (min, max))
    room = 0.06 * (last - first) or 1.0
    values = [value for each in summaries for value in each.accuracies]
    # Three seeds can have intervals that leave no room for anything else: they may run out of the drawing.
    low, high = min(values), max(values)
    beyond = max(0.02, high - low)
    ends = [end for each in summaries if each.interval for end in (each.interval.low, each.interval.high)]
    low, high = max(min([low, *ends]), low - beyond), min(max([high, *ends]), high + beyond)
    margin = 0.05 * (high - low) or 0.02
    arms = tuple(dict.fromkeys(each.arm for each in summaries))
    x = Scale(first - room, last + room, LEFT, RIGHT)
    return _Place(x, Scale(max(0.0, low - margin), min(1.0, high + margin), BOTTOM, TOP), arms)


def _axes(place: _Place, summaries: Sequence[Summary]) -> Iterator[Markup]:
    y = place.y
    marks = svg.ticks(y.low, y.high)
    digits = max(0, -math.floor(math.log10(100 * (marks[1] - marks[0])) + 1e-9)) if len(marks) > 1 else 0
    for value in marks:
        yield svg.line(LEFT, y(value), RIGHT, y(value), "grid")
        yield svg.text(LEFT - 8, y(value) + 4, f"{100 * value:.{digits}f}%", class_="tick end")
    for fraction in sorted({each.fraction for each in summaries}):
        yield svg.text(place.x(math.log(fraction)), BOTTOM + 20, part(fraction), class_="tick mid")
    yield svg.text((LEFT + RIGHT) / 2, HEIGHT - 4, "of the training data (logarithmic)", class_="axis mid")


def _arm(place: _Place, own: Sequence[Summary]) -> Iterator[Markup]:
    xs = [place.across(each.fraction, each.arm) for each in own]
    yield svg.path(xs, [place.y(each.mean) for each in own], "curve")
    for x, each in zip(xs, own, strict=True):
        yield from _interval(place, x, each)
        for accuracy in each.accuracies:
            yield svg.element("circle", cx=x, cy=place.y(accuracy), r=2.0, class_="seed")
        yield svg.element(
            "circle", svg.element("title", _hint(each)), cx=x, cy=place.y(each.mean), r=4.5, class_="mean"
        )


def _interval(place: _Place, x: float, each: Summary) -> Iterator[Markup]:
    if each.interval is None:
        return
    y = place.y
    for end in (each.interval.low, each.interval.high):
        if y.low <= end <= y.high:
            yield svg.line(x - 3.5, y(end), x + 3.5, y(end), "reach")
    low, high = max(each.interval.low, y.low), min(each.interval.high, y.high)
    yield svg.line(x, y(low), x, y(high), "reach")


def _hint(each: Summary) -> str:
    within = f", 95% interval {percent(each.interval.low)} to {percent(each.interval.high)}" if each.interval else ""
    return f"{NAMES[each.arm]} at {part(each.fraction)}: {percent(each.mean)}{within}"


def differences_plot(comparisons: Sequence[Comparison], reach: float) -> Markup:
    """The differences of one pair of arms, a row for each fraction, with a line at 0; `reach` is the axis' end."""
    rows = [
        Dot(
            label=part(each.fraction),
            mean=each.mean,
            values=each.differences,
            wide=each.interval,
            narrow=each.over_samples,
            said=f"{points(each.mean)}  {VERDICTS[each.verdict]}",
            within=f"{points(each.interval.low)} to {points(each.interval.high)}",
            words=each.words,
            style=each.verdict,
        )
        for each in comparisons
    ]
    subject = SUBJECTS[comparisons[0].arm, comparisons[0].against]
    words = "; ".join(f"{row.label} {points(row.mean)} points, {VERDICTS[row.style]}" for row in rows)
    axis = Axis(-reach, reach, 96.0, DIFFERENCE, short_points)
    return dot_plot(rows, axis, f"Difference made by {subject}: {words}.")


def reach_of(comparisons: Sequence[Comparison]) -> float:
    """How far the axes of all differences have to go."""
    return reach([(each.differences, each.over_samples, each.interval) for each in comparisons])
