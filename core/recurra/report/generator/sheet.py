"""One picture of generated samples beside real ones, for a dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recurra.judgement.pictures import NO_SAMPLE
from recurra.report.generator.material import Material
from recurra.report.pictures import as_image, encoded, evenly, levels

if TYPE_CHECKING:
    from PIL.Image import Image

CLASSES = 10
COLUMNS = {"image": 6, "clip": 8}
"""Samples of a class, or frames of a clip, on either side."""
SIDE = 48
GAP, BETWEEN, MARGIN, NAMES, HEAD = 2, 18, 10, 110, 22
INK, PAPER = (34, 34, 34), (255, 255, 255)


def sheet(material: Material, max_bytes: int) -> bytes:
    """A PNG of about `max_bytes` at most: a row for each of some classes, generated left and real right."""
    data = b""
    for side in (SIDE, 32, 20, 12):
        data = encoded(_few_colours(_drawn(material, side), material.dataset.sample.channels), "PNG", optimize=True)
        if len(data) <= max_bytes:
            break
    return data


def _few_colours(image: Image, channels: int) -> Image:
    from PIL.Image import Dither, Quantize

    if channels == 1:
        return image.convert("L")
    return image.quantize(128, method=Quantize.FASTOCTREE, dither=Dither.NONE)


def _drawn(material: Material, side: int) -> Image:
    from PIL import Image, ImageDraw, ImageFont

    sample, labels = material.dataset.sample, material.pictures["samples_labels"][:CLASSES].tolist()
    count = len(labels)
    columns = min(COLUMNS[sample.kind], sample.frames if material.clips else material.pictures["samples"].shape[1])
    half = columns * (side + GAP)
    image = Image.new("RGB", (2 * MARGIN + NAMES + 2 * half + BETWEEN, 2 * MARGIN + HEAD + count * (side + GAP)), PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(12)
    lefts = {"samples": MARGIN + NAMES, "real": MARGIN + NAMES + half + BETWEEN}
    for kind, title in (("samples", "generated"), ("real", "real")):
        draw.text((lefts[kind], MARGIN), title, fill=INK, font=font)
    for row, number in enumerate(labels):
        top = MARGIN + HEAD + row * (side + GAP)
        name = _short(material.classes[number])
        draw.text((MARGIN, top + side // 2), name, fill=INK, font=font, anchor="lm")
        for kind, left in lefts.items():
            for place, tile in enumerate(_tiles(material, kind, row, columns, side)):
                image.paste(tile, (left + place * (side + GAP), top))
    return image


def _short(name: str) -> str:
    flat = " ".join(name.encode("utf-8", "replace").decode().split())
    return flat if len(flat) <= 16 else f"{flat[:15]}…"


def _tiles(material: Material, kind: str, row: int, columns: int, side: int) -> Sequence[Image]:
    """A row's samples, or the frames of its first clip, each within a square of that side."""
    from PIL import Image

    there = material.pictures[f"{kind}_seen"][row] != NO_SAMPLE
    samples = material.pictures[kind][row][there]
    if not len(samples):
        return []
    chosen = samples[0][evenly(samples.shape[1], columns)] if material.clips else samples[:columns, 0]
    tiles = []
    for frame in levels(chosen, material.shades):
        tile = as_image(frame, side)
        zoom = side / max(tile.size)
        size = (max(1, round(tile.width * zoom)), max(1, round(tile.height * zoom)))
        tiles.append(tile.convert("RGB").resize(size, Image.Resampling.NEAREST))
    return tiles
