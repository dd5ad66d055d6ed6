"""How large a sample may be: `data.max_pixels` for one frame, some times that for all frames of a clip."""

from __future__ import annotations

from recurra.readers.unreadable import UnreadableError

CLIP_AREA = 10
"""A clip may have this many times `max_pixels`, over all of its frames."""


def check(size: tuple[int, int], frames: int, max_pixels: int) -> None:
    """UnreadableError where a frame (width, height), or the frames together, have more pixels than allowed, or none."""
    width, height = size
    if width < 1 or height < 1:
        raise UnreadableError("it has no pixels")
    if width * height > max_pixels:
        raise UnreadableError(f"{width} x {height} pixels, more than data.max_pixels ({max_pixels:,}) allows")
    if width * height * frames > CLIP_AREA * max_pixels:
        limit = f"{CLIP_AREA} times data.max_pixels ({max_pixels:,})"
        raise UnreadableError(f"{frames} frames of {width} x {height} pixels, more than {limit} allows")
