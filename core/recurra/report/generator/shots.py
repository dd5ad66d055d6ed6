"""Samples within the page: an image is a picture; a clip is a film (a looped GIF), with a still and a strip of frames.

The still stands for the film where a reader wants no motion. A figure's samples share a budget of bytes, so that a page
stays small whatever the data: where they would be more, they are stored smaller and with fewer frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recurra.report.pictures import Picture, Shades, as_image, data_uri, encoded, evenly, frames, levels, shown_size

if TYPE_CHECKING:
    from PIL.Image import Image

LIMITS = ((128, 32), (64, 24), (48, 16), (32, 10), (16, 6))
"""(pixels of the longer side, frames of a film) at most, tried in turn."""
TRIED = 3
"""Samples that tell what all will need."""
SECONDS = 2.0
"""A film's length, but for the limits of a frame's."""
FRAME_MS = (60, 250)
"""Shortest and longest time that a frame is shown; browsers slow down what is much faster."""
COLOURS = 64


@dataclass(frozen=True)
class Look:
    """How a figure shows each of its samples."""

    side: int
    """Pixels across of a picture or film, as shown."""
    strip: int = 0
    """Frames of a clip's strip; 0 for none."""
    strip_side: int = 0
    """Pixels across of each."""
    moving: bool = True
    """Whether a clip is a film too."""


@dataclass(frozen=True)
class Shot:
    """One sample."""

    still: Picture
    """An image, or a clip's middle frame."""
    moving: Picture | None
    strip: list[Picture]

    @property
    def size(self) -> int:
        """Bytes within the page."""
        return sum(len(picture.uri) for picture in (self.still, self.moving, *self.strip) if picture)


def shots(samples: Sequence[np.ndarray], look: Look, shades: Shades | None, budget: int) -> list[Shot]:
    """Each sample [T, H, W, C], on one scale, all together of at most about `budget` bytes."""
    for limit in LIMITS[:-1]:
        made = _within(samples, look, shades, budget, limit)
        if made is not None:
            return made
    return [_shot(sample, look, shades, LIMITS[-1]) for sample in samples]


def _within(
    samples: Sequence[np.ndarray], look: Look, shades: Shades | None, budget: int, limit: tuple[int, int]
) -> list[Shot] | None:
    """The shots, or None where they do not fit; what the first of them promise is believed, to lose no time."""
    made: list[Shot] = []
    used = 0
    for sample in samples:
        made.append(_shot(sample, look, shades, limit))
        used += made[-1].size
        if used > budget or (len(made) == TRIED and used * len(samples) > 1.5 * budget * TRIED):
            return None
    return made


def _shot(sample: np.ndarray, look: Look, shades: Shades | None, limit: tuple[int, int]) -> Shot:
    most, longest = limit
    still = frames(sample, 1, look.side, shades, most)[0]
    if len(sample) == 1:
        return Shot(still, None, [])
    moving = _film(sample, look.side, shades, most, longest) if look.moving else None
    return Shot(still, moving, frames(sample, look.strip, look.strip_side, shades, most) if look.strip else [])


def _film(clip: np.ndarray, side: int, shades: Shades | None, most: int, longest: int) -> Picture:
    chosen = clip[evenly(len(clip), longest)]
    images = [as_image(frame, min(most, side * 3 // 2)) for frame in levels(chosen, shades)]
    size = shown_size(images[0], side)
    if images[0].mode == "RGB":
        images = _quantised(images)
    duration = int(np.clip(1000 * SECONDS / len(images), *FRAME_MS))
    data = encoded(images[0], "GIF", save_all=True, append_images=images[1:], duration=duration, loop=0)
    return Picture(data_uri("gif", data), *size)


def _quantised(images: Sequence[Image]) -> list[Image]:
    """Colour frames of one size with one palette: a GIF has it once, and it is sought once."""
    from PIL.Image import Dither, Quantize, fromarray

    width, height = images[0].size
    reel = fromarray(np.concatenate([np.asarray(image) for image in images]))
    # The octree is nearly as good as the median cut, and takes a hundredth of its time.
    reel = reel.quantize(COLOURS, method=Quantize.FASTOCTREE, dither=Dither.NONE)
    return [reel.crop((0, top, width, top + height)) for top in range(0, reel.height, height)]
