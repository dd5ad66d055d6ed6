"""The matrix of agreement: how often every two variants name the same class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from recurra.comparison.pairs import Pair
from recurra.comparison.summary import Summary
from recurra.report import svg
from recurra.wording import percent

SIDE = 54
LARGEST = 16
"""Variants up to which the matrix can be read."""
PALEST, DARKEST = 0.06, 0.72


def agreement_matrix(summaries: Sequence[Summary], pairs: Sequence[Pair]) -> Markup:
    """The figure: part of the test samples that both name alike; on the diagonal two seeds of one variant."""
    names = [each.variant.words for each in summaries]
    shares = _shares(summaries, pairs)
    extent, margin = float(SIDE * len(names)), 20 + 6.6 * max(map(len, names))
    top = 0.72 * margin + 14
    move = f"translate({svg.number(margin)} {svg.number(top)})"
    cells = svg.group(_cells(names, shares), transform=move)
    lowest = min((share for share in shares.values() if share is not None), default=1.0)
    label = f"Agreement of {len(names)} variants; the least is {percent(lowest)}."
    frame = svg.element("rect", x=margin, y=top, width=extent, height=extent, class_="frame")
    parts = [*_names(names, margin, top), frame, cells]
    return svg.figure(margin + extent + 0.66 * margin, top + extent + 6, label, parts, "matrix")


def _shares(summaries: Sequence[Summary], pairs: Sequence[Pair]) -> dict[tuple[int, int], float | None]:
    """(row, column) -> agreement."""
    places = {each.variant: place for place, each in enumerate(summaries)}
    shares: dict[tuple[int, int], float | None] = {(place, place): each.alike for place, each in enumerate(summaries)}
    for pair in pairs:
        one, other = places[pair.first], places[pair.second]
        shares[one, other] = shares[other, one] = pair.agreement
    return shares


def _names(names: Sequence[str], left: float, top: float) -> Iterator[Markup]:
    for place, name in enumerate(names):
        middle = (place + 0.5) * SIDE
        yield svg.text(left - 8, top + middle + 4, name, class_="tick end")
        corner = f"{svg.number(left + middle + 4)} {svg.number(top - 8)}"
        yield svg.element("text", name, transform=f"translate({corner}) rotate(-45)", class_="tick")


def _cells(names: Sequence[str], shares: dict[tuple[int, int], float | None]) -> Iterator[Markup]:
    known = [share for share in shares.values() if share is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    for (row, column), share in sorted(shares.items()):
        if share is None:
            continue
        shade = round(PALEST + (DARKEST - PALEST) * (share - low) / max(1e-9, high - low), 2)
        square = svg.element(
            "rect", x=column * SIDE, y=row * SIDE, width=SIDE, height=SIDE, fill_opacity=shade,
            class_="right own" if row == column else "right",
        )  # fmt: skip
        ink = "count firm" if shade > 0.6 else "count"
        number = svg.text((column + 0.5) * SIDE, (row + 0.5) * SIDE, percent(share).rstrip("%"), class_=ink, dy=".35em")
        both = f"two seeds of {names[row]}" if row == column else f"{names[row]} and {names[column]}"
        yield svg.group([svg.element("title", f"{both}: {percent(share)} alike"), square, number])
