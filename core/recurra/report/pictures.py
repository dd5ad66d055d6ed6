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


def levels(sample: np.ndarray) -> np.ndarray:
    """A sample [T, H, W, C] as uint8: 8-bit values as they are, others from the sample's least to its largest."""
    if sample.dtype == np.uint8:
        return sample
    finite = np.nan_to_num(sample.astype(np.float64))
    low, high = finite.min(), finite.max()
    return np.round((finite - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)


def frames(sample: np.ndarray, count: int, side: int) -> list[Picture]:
    """At most `count` evenly spaced frames of a sample [T, H, W, C], each shown about `side` pixels large."""
    values, count = levels(sample), min(count, len(sample))
    middles = ((np.arange(count) + 0.5) * len(sample) / count).astype(int)
    return [_picture(values[frame], side) for frame in middles]


def _picture(frame: np.ndarray, side: int) -> Picture:
    from PIL import Image

    image = Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame)
    # Half as many again as are shown, for screens of finer pixels.
    most = min(LARGEST, side * 3 // 2)
    if max(image.size) > most:
        image.thumbnail((most, most))
    longest = max(image.size)
    zoom = max(1, side // longest)
    fitted = min(1.0, side / longest) * zoom
    width, height = (max(1, round(length * fitted)) for length in image.size)
    return Picture(_uri(image), width, height, zoom > 1)


def _uri(image: Image) -> str:
    kind, data = "png", _encoded(image, "PNG", optimize=True)
    if len(data) > PNG_BYTES:
        kind, data = "jpeg", _encoded(image, "JPEG", quality=85)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _encoded(image: Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
