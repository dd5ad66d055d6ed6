"""The confusion matrix as a figure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from recurra.report import svg
from recurra.wording import percent

LARGEST = 50
"""Classes up to which the figure can be read."""


@dataclass(frozen=True)
class Grid:
    """Where the cells and names stand."""

    side: int
    left: float
    top: float
    beyond: float
    """Room on the right for the last column's slanted name."""

    @classmethod
    def of(cls, names: Sequence[str], rows: str, largest: int = 46) -> Grid:
        """The grid that these names, as shown, and the word for the rows need; its cells `largest` pixels at most."""
        side = min(largest, 46 if len(names) <= 12 else 32 if len(names) <= 25 else 18)
        margin = 18 + 6.6 * max(map(len, names))
        left = max(8 * (len(rows) + 3), margin + 18)  # at least room for "true ↓"
        return cls(side, left, 0.72 * margin + 32, 0.62 * margin)


def confusion_matrix(confusion: np.ndarray, names: Sequence[str], rows: str = "true", compact: bool = False) -> Markup:
    """Counts [K, K] of class [row] taken for class [column], shaded by their share of the row; K up to LARGEST.

    `rows` says what the classes of the rows are: the true ones, or the intended ones. `compact`: two of them, of up to
    ten classes, fit beside each other.
    """
    shown = [svg.shortened(name, 10 if compact else 20) for name in names]
    grid = Grid.of(shown, rows, 32 if compact else 46)
    extent = float(grid.side * len(names))
    right = float(np.trace(confusion) / max(1, confusion.sum()))
    label = f"Confusion matrix of {len(names)} classes; {percent(right)} of the samples lie on the diagonal."
    frame = svg.element("rect", x=grid.left, y=grid.top, width=extent, height=extent, class_="frame")
    move = f"translate({svg.number(grid.left)} {svg.number(grid.top)})"
    cells = svg.group(_cells(confusion, names, grid.side), transform=move, class_=f"side-{grid.side}")
    width, height = grid.left + extent + grid.beyond, grid.top + extent + 6
    return svg.figure(width, height, label, [*_names(shown, grid, rows), frame, cells], "matrix")


def _names(names: Sequence[str], grid: Grid, rows: str) -> Iterator[Markup]:
    yield svg.text(grid.left, 14, "taken for →", class_="axis")
    yield svg.text(grid.left - 8, grid.top - 8, f"{rows} ↓", class_="axis end")
    for place, name in enumerate(names):
        middle = (place + 0.5) * grid.side
        yield svg.text(grid.left - 8, grid.top + middle + 4, name, class_="tick end")
        corner = f"{svg.number(grid.left + middle + 4)} {svg.number(grid.top - 8)}"
        yield svg.element("text", name, transform=f"translate({corner}) rotate(-45)", class_="tick")


def _cells(confusion: np.ndarray, names: Sequence[str], side: int) -> Iterator[Markup]:
    totals = confusion.sum(axis=1)
    for row, column in np.argwhere(confusion).tolist():
        count, total = int(confusion[row, column]), int(totals[row])
        # The square root lets the few in a hundred be seen that a linear scale would hide.
        shade = round(math.sqrt(count / total), 2)
        square = svg.element(
            "rect", x=column * side, y=row * side, width=side, height=side, fill_opacity=shade,
            class_="right" if row == column else "wrong",
        )  # fmt: skip
        # Where dark writing gives way to light differs between the light and the dark theme.
        ink = "count strong" if shade > 0.8 else "count firm" if shade > 0.6 else "count"
        number = svg.text((column + 0.5) * side, (row + 0.5) * side, f"{count}", class_=ink, dy=".35em")
        hint = f"{names[row]} taken for {names[column]}: {count:,} of {total:,} ({percent(count / total)})"
        yield svg.group([svg.element("title", hint), square, number])
