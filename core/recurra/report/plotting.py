"""Figures and text for dashboards, which render Markdown: Matplotlib's, as PNG in data: URIs."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RIGHT, WRONG, PALE, QUIET = "#2563b8", "#c65310", "#e8ebee", "#59636e"

LARGEST = 180_000
"""Bytes of the Markdown at most: dashboards keep artifacts in a database."""


def plain(value: str) -> str:
    """Text from data, so that Markdown and HTML take it as text and a table's row stays one."""
    flat = " ".join(value.split())
    # Backslashes, not entities: Prefect's dashboard shows an entity in a heading as it is written.
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~&$])", r"\\\1", flat)


def pictured(text: str, pictures: Iterable[tuple[str, str]]) -> str:
    """Markdown and, each under its title, pictures (title, PNG in base64); one that would not fit is left out."""
    for title, encoded in pictures:
        picture = f"\n## {title}\n\n![{title}](data:image/png;base64,{encoded})\n"
        if len((text + picture).encode()) < LARGEST:
            text += picture
    return text


def empty_figure(width: float, height: float) -> Figure:
    """A figure of so many inches."""
    # Not pyplot: it keeps every figure, chooses a window system, and is not safe outside the main thread.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=100, layout="constrained")


def png(figure: Figure) -> str:
    """The figure as PNG in base64; equal figures give equal bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode()
