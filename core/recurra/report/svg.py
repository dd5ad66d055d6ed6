"""Drawing: SVG elements, axes and ticks.

The report draws its own SVG rather than taking Matplotlib's. Matplotlib writes a style attribute on every element,
which a page without 'unsafe-inline' may not have, and fixed colours, which do not follow the reader's light or dark
theme. Here every colour is a class that the page's style sheet maps, the bytes depend on nothing but the numbers, and
a figure takes a millisecond. (The dashboard's PNG pictures are Matplotlib's.)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

Value = str | float | int


def number(value: float) -> str:
    """A coordinate, to a hundredth of a pixel."""
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"


def element(name: str, *children: str | Markup, **attributes: Value | None) -> Markup:
    """An element; text and values are escaped, `class_` is class, and an underscore in a name is a hyphen."""
    parts = [
        f'{key.rstrip("_").replace("_", "-")}="{escape(number(value) if isinstance(value, float) else value)}"'
        for key, value in attributes.items()
        if value is not None
    ]
    inside = Markup("").join(children)
    opening = " ".join([name, *parts])
    return Markup(f"<{opening}>{inside}</{name}>" if inside else f"<{opening}/>")


def group(children: Iterable[Markup], **attributes: Value | None) -> Markup:
    """Elements that share attributes."""
    return element("g", *children, **attributes)


def text(x: float, y: float, content: str, **attributes: Value | None) -> Markup:
    """Text whose baseline starts (or is centred, or ends) at x, y."""
    return element("text", content, x=float(x), y=float(y), **attributes)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)


def path(xs: Sequence[float] | np.ndarray, ys: Sequence[float] | np.ndarray, class_: str) -> Markup:
    """A line through the points, interrupted where a value is not finite."""
    steps, lifted = [], True
    for x, y in zip(xs, ys, strict=True):
        if not math.isfinite(y):
            lifted = True
            continue
        steps.append(f"{'M' if lifted else 'L'}{number(x)} {number(y)}")
        lifted = False
    return element("path", d="".join(steps), class_=class_)


def figure(width: float, height: float, label: str, children: Iterable[Markup], class_: str) -> Markup:
    """A whole drawing, with the words that stand for it where it cannot be seen."""
    box = f"0 0 {number(width)} {number(height)}"
    return element(
        "svg", *children, viewBox=box, width=float(width), height=float(height), role="img", aria_label=label,
        class_=f"plot {class_}",
    )  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` on pixels from `start` to `stop`."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) within [low, high], about as many as wanted."""
    rough = (high - low) / max(1, wanted)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


def shortened(name: str, length: int) -> str:
    """The name, cut to `length` characters with an ellipsis."""
    return name if len(name) <= length else f"{name[: length - 1]}…"


def bar(share: float) -> Markup:
    """A bar for a table's cell, filled from 0 to 1."""
    filled = element("rect", width=round(100 * share, 1), height=6, class_="right")
    return element("svg", filled, viewBox="0 0 100 6", preserveAspectRatio="none", class_="bar", aria_hidden="true")
