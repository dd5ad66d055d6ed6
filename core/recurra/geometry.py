"""Frame size, channels and clip length of decoded samples [n, T, H, W, C], whole blocks at a time."""

from __future__ import annotations

from typing import Literal

import numpy as np

Fit = Literal["stretch", "pad", "crop"]
ClipFit = Literal["resample", "pad"]

LUMA = (19595, 38470, 7471)
"""ITU-R 601-2 luma in 65536ths, as Pillow rounds it."""


def to_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """pixels [..., 1 or 3] -> [..., channels] of the same dtype: grey repeated, or colour's ITU-R 601-2 luma."""
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=-1)
    if pixels.dtype == np.uint8:
        luma = pixels @ np.array(LUMA, np.uint32)
        return ((luma + 0x8000) >> 16).astype(np.uint8)[..., None]
    return (pixels @ (np.array(LUMA, np.float32) / 65536))[..., None]


def frame_index(length: int, frames: int, fit: ClipFit) -> np.ndarray:
    """Which of a clip's `length` frames becomes each of `frames`: [frames] int64."""
    steps = np.arange(frames)
    if fit == "pad":
        return np.minimum(steps, length - 1)
    # floor((i + 0.5) * length / frames), in integers
    return (2 * steps + 1) * length // (2 * frames)


def to_length(clips: np.ndarray, frames: int, fit: ClipFit) -> np.ndarray:
    """clips [n, T, ...] -> [n, frames, ...]."""
    if clips.shape[1] == frames:
        return clips
    return clips[:, frame_index(clips.shape[1], frames, fit)]


def to_size(clips: np.ndarray, size: tuple[int, int], fit: Fit, fill: np.ndarray | float = 0) -> np.ndarray:
    """clips [n, T, H, W, C] -> [n, T, *size, C] of the same dtype (uint8 or float32).

    Bilinear with the support widened when shrinking (no aliasing), as Pillow's `resize` does. `pad` surrounds with
    `fill`, which broadcasts to the result; `crop` cuts the centre.
    """
    if clips.shape[2:4] == size:
        return clips
    box, inner = _window(clips.shape[2:4], size, fit)
    resized = _resized(clips, inner, box)
    if inner == size:
        return resized
    padded = np.empty((*clips.shape[:2], *size, clips.shape[4]), clips.dtype)
    padded[:] = fill
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    padded[:, :, top : top + inner[0], left : left + inner[1]] = resized
    return padded


def _window(
    old: tuple[int, ...], new: tuple[int, int], fit: Fit
) -> tuple[tuple[float, float, float, float], tuple[int, int]]:
    """The part of the old frame to use (top, bottom, left, right) and the size that it gets in the new one."""
    height, width = old
    ratios = (new[0] / height, new[1] / width)
    if fit == "crop":
        scale = max(ratios)
        part = (min(height, new[0] / scale), min(width, new[1] / scale))
        top, left = (height - part[0]) / 2, (width - part[1]) / 2
        return (top, top + part[0], left, left + part[1]), new
    if fit == "pad":
        scale = min(ratios)
        inner = (max(1, round(height * scale)), max(1, round(width * scale)))
        return (0, height, 0, width), (min(inner[0], new[0]), min(inner[1], new[1]))
    return (0, height, 0, width), new


def _resized(clips: np.ndarray, size: tuple[int, int], box: tuple[float, float, float, float]) -> np.ndarray:
    # Bilinear resizing is separable. The rows of all frames and channels, one below the other, are one tall image for
    # Pillow, and so are their columns: two calls for a block. (Pillow itself goes by rows or by columns first, as it
    # sees fit; 8-bit values are rounded in between, so it may differ from this by one level.)
    top, bottom, left, right = box
    planes = np.moveaxis(clips, 4, 2)
    rows = _stretched(planes, size[1], left, right)
    columns = _stretched(np.swapaxes(rows, 3, 4), size[0], top, bottom)
    return np.ascontiguousarray(columns.transpose(0, 1, 4, 3, 2))


def _stretched(planes: np.ndarray, length: int, start: float, stop: float) -> np.ndarray:
    """[..., L] -> [..., length], from the part of the last axis between start and stop."""
    old = planes.shape[-1]
    if (length, start, stop) == (old, 0, old):
        return planes
    from PIL import Image

    tall = Image.fromarray(np.ascontiguousarray(planes).reshape(-1, old))
    box = (start, 0, stop, tall.height)
    result = tall.resize((length, tall.height), Image.Resampling.BILINEAR, box=box)
    return np.asarray(result).reshape(*planes.shape[:-1], length)
