"""A picture of some samples of every class: what the network will be shown, at a glance."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recurra.dataset import Dataset
from recurra.readers.reader import Source
from recurra.survey import survey

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

MAX_BYTES = 200_000
_CLASSES = 24
_FRAMES = 8
_GAP = 2
_SPACE = 10
_MARGIN = 12
_INK, _PAPER = (34, 34, 34), (255, 255, 255)


def contact_sheet(of: Source | Dataset, path: Path | None = None, max_bytes: int = MAX_BYTES) -> bytes:
    """A PNG of at most `max_bytes`, also written to `path`: one row a class, a clip as a strip of frames in time.

    8-bit pixels are shown as they are; others between their 1st and 99th percentile, grey ones in colour.
    """
    images = (of.sample.kind if isinstance(of, Dataset) else of.kind) == "image"
    columns, side = (12, 56) if images else (2, 48)
    chosen = _of_dataset(of, columns) if isinstance(of, Dataset) else _of_source(of, columns)
    shown = _coloured(chosen)
    data = _png(_drawn(shown, side, len(of.classes)))
    while len(data) > max_bytes and (columns > 1 or side > 8):
        # Fewer samples, then smaller ones: as many as the bytes so far promise to fit.
        fitting = max(1, min(columns - 1, columns * max_bytes // len(data)))
        columns, side = (fitting, side) if columns > 1 else (1, side * 3 // 4)
        data = _png(_drawn({name: strips[:columns] for name, strips in shown.items()}, side, len(of.classes)))
    if path is not None:
        path.write_bytes(data)
    return data


def _of_dataset(dataset: Dataset, count: int) -> dict[str, list[np.ndarray]]:
    """For each class some training samples, each [frames, H, W, C]."""
    split = dataset.splits["train"]
    rows = _spread(split.labels(), len(dataset.classes), count)
    pixels = split.gather(np.concatenate(rows))
    ends = np.cumsum([len(part) for part in rows])
    parts = np.split(pixels, ends[:-1])
    return {name: [_film(clip) for clip in part] for name, part in zip(dataset.classes, parts, strict=False)}


def _of_source(source: Source, count: int) -> dict[str, list[np.ndarray]]:
    labels = np.where(survey(source).codes >= 0, np.asarray(source.samples.labels), -1)
    chosen = {}
    for name, rows in zip(source.classes, _spread(labels, len(source.classes), count), strict=False):
        chosen[name] = [_film(np.asarray(clip)) for clip in source.read(rows).arrays] if len(rows) else []
    return chosen


def _spread(labels: np.ndarray, classes: int, count: int) -> list[np.ndarray]:
    """For each class (the first few) at most `count` rows, evenly spread over those that it has."""
    members = [np.flatnonzero(labels == label) for label in range(min(classes, _CLASSES))]
    return [
        rows[np.unique(np.linspace(0, len(rows) - 1, count).astype(int))] if len(rows) else rows for rows in members
    ]


def _film(clip: np.ndarray) -> np.ndarray:
    """At most some frames of a clip, evenly spread."""
    return clip[np.unique(np.linspace(0, len(clip) - 1, _FRAMES).round().astype(int))]


def _coloured(chosen: Mapping[str, Sequence[np.ndarray]]) -> dict[str, list[np.ndarray]]:
    """Every clip as uint8 [T, H, W, 3]."""
    numbers = [clip.reshape(-1) for clips in chosen.values() for clip in clips if clip.dtype != np.uint8]
    low, high = np.nanpercentile(np.concatenate(numbers), (1, 99)) if numbers else (0.0, 1.0)
    return {name: [_as_rgb(clip, low, high) for clip in clips] for name, clips in chosen.items()}


def _as_rgb(clip: np.ndarray, low: float, high: float) -> np.ndarray:
    if clip.dtype == np.uint8:
        return np.broadcast_to(clip, (*clip.shape[:3], 3))
    level = np.nan_to_num(np.clip((clip - low) / max(high - low, 1e-12), 0, 1))
    if clip.shape[3] == 3:
        return (level * 255).astype(np.uint8)
    from matplotlib import colormaps

    return colormaps["inferno"](level[..., 0], bytes=True)[..., :3]


def _drawn(rows: Mapping[str, Sequence[np.ndarray]], side: int, classes: int) -> Image:
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(13)
    strips = [(_fitted(name, font), [_strip(clip, side) for clip in clips]) for name, clips in rows.items()]
    text = max((int(font.getlength(name)) for name, _ in strips), default=0) + _SPACE
    gap = _GAP if all(len(clip) == 1 for clips in rows.values() for clip in clips) else _SPACE
    heights = [max([16, *(strip.height for strip in row)]) + _SPACE // 2 for _, row in strips]
    width = max((sum(strip.width + gap for strip in row) for _, row in strips), default=0)
    more = classes - len(rows)
    size = (2 * _MARGIN + text + width, 2 * _MARGIN + sum(heights) + (20 if more else 0))
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    top = _MARGIN
    for (name, row), height in zip(strips, heights, strict=True):
        middle = top + (height - _SPACE // 2) // 2
        draw.text((_MARGIN, middle), name, fill=_INK, font=font, anchor="lm")
        left = _MARGIN + text
        for strip in row:
            sheet.paste(strip, (left, top))
            left += strip.width + gap
        top += height
    if more:
        draw.text((_MARGIN, top + 2), f"and {more} more classes", fill=_INK, font=font)
    return sheet


def _fitted(name: str, font: FreeTypeFont | ImageFont) -> str:
    name = name.encode("utf-8", "replace").decode()
    if font.getlength(name) <= 160:
        return name
    while font.getlength(name + "…") > 160:
        name = name[:-1]
    return name + "…"


def _strip(clip: np.ndarray, side: int) -> Image:
    """The frames of a clip side by side, each about `side` pixels: small ones in whole steps, so that pixels show."""
    from PIL import Image

    height, width = clip.shape[1:3]
    scale = side / max(height, width)
    scale = max(1, round(scale)) if scale >= 1 else scale
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BILINEAR
    strip = Image.new("RGB", (len(clip) * (size[0] + 1) - 1, size[1]), _PAPER)
    for index, frame in enumerate(clip):
        strip.paste(Image.fromarray(np.ascontiguousarray(frame)).resize(size, how), (index * (size[0] + 1), 0))
    return strip


def _png(sheet: Image) -> bytes:
    from PIL.Image import Dither

    # 256 colours are enough to recognise a picture by, and a third of the bytes.
    file = io.BytesIO()
    sheet.quantize(256, dither=Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()
