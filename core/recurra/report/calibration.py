"""The reliability diagram: how often answers of each confidence are right, and how many there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from recurra.metrics import Bin
from recurra.report import svg
from recurra.report.svg import Scale
from recurra.wording import percent, plural

WIDTH, HEIGHT = 440.0, 400.0
LEFT, RIGHT = 52.0, 416.0
X = Scale(0.0, 1.0, LEFT, RIGHT)
Y = Scale(0.0, 1.0, 276.0, 14.0)
"""Accuracy, in the upper part."""
FOOT, HEAD = 362.0, 300.0
"""The lower part: the share of the answers."""


def reliability_diagram(bins: Sequence[Bin]) -> Markup:
    """The figure."""
    total = max(1, sum(part.count for part in bins))
    most = max(part.count for part in bins) / total
    shares = Scale(0.0, most or 1.0, FOOT, HEAD)
    filled = [part for part in bins if part.count]
    bars = [svg.group(_bar(part, shares, total)) for part in filled]
    label = ", ".join(
        f"{percent(part.confidence or 0.0, 0)} sure and {percent(part.accuracy or 0.0, 0)} right" for part in filled
    )
    parts = [*_axes(), *bars, svg.line(X(0), Y(0), X(1), Y(1), "ideal"), *_titles(most)]
    return svg.figure(WIDTH, HEIGHT, f"Reliability diagram: {label}.", parts, "reliability")


def _axes() -> Iterator[Markup]:
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        yield svg.line(LEFT, Y(value), RIGHT, Y(value), "grid")
        yield svg.text(LEFT - 8, Y(value) + 4, f"{100 * value:g}%", class_="tick end")
        yield svg.text(X(value), FOOT + 18, f"{100 * value:g}%", class_="tick mid")


def _titles(most: float) -> Iterator[Markup]:
    yield svg.line(LEFT, FOOT, RIGHT, FOOT, "grid")
    yield svg.text(LEFT - 8, HEAD + 10, percent(most, 0), class_="tick end")
    yield svg.text(LEFT + 8, Y(1) + 12, "accuracy", class_="axis")
    yield svg.text(LEFT + 8, HEAD + 10, "share of answers", class_="axis")
    yield svg.text((LEFT + RIGHT) / 2, HEIGHT - 4, "confidence", class_="axis mid")


def _bar(part: Bin, shares: Scale, total: int) -> Iterator[Markup]:
    sure, right, share = part.confidence or 0.0, part.accuracy or 0.0, part.count / total
    hint = f"{plural(part.count, 'answer')}, {percent(sure)} sure on average, {percent(right)} right"
    yield svg.element("title", hint)
    yield _column(part, Y(0), Y(right), "right")
    yield _column(part, Y(sure), Y(right), "gap over" if sure > right else "gap under")
    yield _column(part, FOOT, shares(share), "share")


def _column(part: Bin, start: float, stop: float, class_: str) -> Markup:
    """A bar as wide as the bin, between two heights."""
    x, width = X(part.low) + 1, X(part.high) - X(part.low) - 2
    return svg.element("rect", x=x, y=min(start, stop), width=max(1.0, width), height=abs(start - stop), class_=class_)
