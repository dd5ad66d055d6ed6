"""Samples as pictures within the page: an image is one, a clip is a strip of evenly spaced frames."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST = 128
"""Pixels that a picture's longer side is stored with at most."""
PNG_BYTES = 4_000
"""Above this a picture is stored as JPEG: a photograph as PNG would fill the page."""


@dataclass(frozen=True)
class Picture:
    """One frame."""

    uri: str
    """A data: URI."""
    width: int
    """Of the picture as shown, in CSS pixels: a whole multiple of a small frame's own."""
    height: int
    pixelated: bool
    """Whether it is shown larger than it is, its pixels kept as squares."""


@dataclass(frozen=True)
class Shades:
    """One scale for many samples: which value is black and which is white. Values beyond are shown as these."""

    low: float
    high: float

    @classmethod
    def between(cls, *groups: np.ndarray) -> Shades | None:
        """All but the most extreme hundredth of the values; None for 8-bit ones, which are shown as they are."""
        if all(group.dtype == np.uint8 for group in groups):
            return None
        values = np.concatenate([group[np.isfinite(group)].ravel() for group in groups])
        low, high = np.percentile(values, (0.5, 99.5)).tolist() if len(values) else (0.0, 1.0)
        return cls(low, high)


def levels(sample: np.ndarray, shades: Shades | None = None) -> np.ndarray:
    """A sample [T, H, W, C] as uint8: 8-bit values as they are, others from the sample's least to its largest.

    With `shades`, all are on that scale.
    """
    if sample.dtype == np.uint8:
        return sample
    finite = np.nan_to_num(sample.astype(np.float64))
    low, high = (shades.low, shades.high) if shades else (finite.min(), finite.max())
    return np.round((np.clip(finite, low, high) - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)


def evenly(length: int, count: int) -> np.ndarray:
    """At most `count` of the frames of a clip, evenly spaced in time, [n] int64."""
    count = min(count, length)
    return ((np.arange(count) + 0.5) * length / count).astype(int)


def frames(
    sample: np.ndarray, count: int, side: int, shades: Shades | None = None, most: int = LARGEST
) -> list[Picture]:
    """At most `count` evenly spaced frames of a sample [T, H, W, C], each shown about `side` pixels large.

    None is stored with more than `most` pixels on its longer side.
    """
    values = levels(sample, shades)
    return [_picture(values[frame], side, most) for frame in evenly(len(sample), count)]


def as_image(frame: np.ndarray, most: int) -> Image:
    """A frame [H, W, C] uint8 as an image, made smaller where its longer side has more than `most` pixels."""
    from PIL import Image

    image = Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame)
    if max(image.size) > most:
        image.thumbnail((most, most))
    return image


def shown_size(image: Image, side: int) -> tuple[int, int, bool]:
    """(width, height, pixelated) of an image that is shown about `side` pixels large: a small one in whole multiples,
    its pixels kept as squares.
    """
    longest = max(image.size)
    zoom = max(1, side // longest)
    fitted = min(1.0, side / longest) * zoom
    width, height = (max(1, round(length * fitted)) for length in image.size)
    return width, height, zoom > 1


def _picture(frame: np.ndarray, side: int, most: int) -> Picture:
    # Half as many again as are shown, for screens of finer pixels.
    image = as_image(frame, min(most, side * 3 // 2))
    return Picture(_uri(image), *shown_size(image, side))


def _uri(image: Image) -> str:
    kind, data = "png", encoded(image, "PNG", optimize=True)
    if len(data) > PNG_BYTES:
        kind, data = "jpeg", encoded(image, "JPEG", quality=85)
    return data_uri(kind, data)


def data_uri(kind: str, data: bytes) -> str:
    """A file of that kind of image as a data: URI."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def encoded(image: Image, kind: str, **options: Any) -> bytes:
    """An image as a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
