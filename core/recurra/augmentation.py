"""Random changes of training samples: a pure function of (seed, epoch, sample), the same pixels on every backend.

Works on whole batches [N, T, H, W, C] after normalisation. Order: temporal crop, temporal reverse, flip, rotation,
shift, brightness.
"""

from __future__ import annotations

import numpy as np

from recurra import draws
from recurra.errors import InputError
from recurra.experiment import Augment

_STREAMS = {name: number for number, name in enumerate(
    ("crop", "crop_start", "reverse", "horizontal", "vertical", "rotate", "rows", "columns", "brightness")
)}  # fmt: skip


def check(augment: Augment, height: int, width: int) -> None:
    """An InputError where the samples' shape does not allow what is asked for."""
    if augment.rotate and height != width:
        raise InputError(f"data.augment.rotate: needs square samples, these are {height}x{width}; set data.size")


def augmented(x: np.ndarray, augment: Augment, seed: int, epoch: int, samples: np.ndarray) -> np.ndarray:
    """x [N, T, H, W, C] float32 of the samples [N] -> the same shape; x itself may be changed."""
    draw = {name: draws.uniform(seed, epoch, stream, samples) for name, stream in _STREAMS.items()}
    if augment.temporal_crop or augment.temporal_reverse:
        x = _retimed(x, augment, draw)
    if augment.flip in ("horizontal", "both"):
        x = _where(draw["horizontal"] < 0.5, x[:, :, :, ::-1], x)
    if augment.flip in ("vertical", "both"):
        x = _where(draw["vertical"] < 0.5, x[:, :, ::-1], x)
    if augment.rotate:
        x = _rotated(x, (draw["rotate"] * 4).astype(int))
    if augment.shift:
        x = _shifted(x, _steps(draw["rows"], augment.shift), _steps(draw["columns"], augment.shift))
    if augment.brightness:
        change = (2 * draw["brightness"] - 1) * augment.brightness
        x = x + change.astype(np.float32)[:, None, None, None, None]
    return np.ascontiguousarray(x)


def _where(mask: np.ndarray, changed: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.where(mask[:, None, None, None, None], changed, x)


def _steps(draw: np.ndarray, largest: int) -> np.ndarray:
    return (draw * (2 * largest + 1)).astype(int) - largest


def _retimed(x: np.ndarray, augment: Augment, draw: dict[str, np.ndarray]) -> np.ndarray:
    frames = x.shape[1]
    kept = np.maximum(1, np.round(frames * (1 - augment.temporal_crop * draw["crop"]))).astype(int)
    start = (draw["crop_start"] * (frames - kept + 1)).astype(int)
    # The rule of data.clip.fit: resample, on the part that is kept.
    index = start[:, None] + ((np.arange(frames) + 0.5) * kept[:, None] / frames).astype(int)
    if augment.temporal_reverse:
        index = np.where((draw["reverse"] < 0.5)[:, None], index[:, ::-1], index)
    return np.take_along_axis(x, index[:, :, None, None, None], axis=1)


def _rotated(x: np.ndarray, quarters: np.ndarray) -> np.ndarray:
    turned = x.copy()
    for quarter in (1, 2, 3):
        chosen = quarters == quarter
        turned[chosen] = np.rot90(x[chosen], quarter, axes=(2, 3))
    return turned


def _shifted(x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Sample n moved by rows[n] downwards and columns[n] to the right; what is uncovered becomes 0."""
    for axis, steps in ((2, rows), (3, columns)):
        size = x.shape[axis]
        index = np.arange(size) - steps[:, None]
        inside = (index >= 0) & (index < size)
        shape = [len(x), 1, 1, 1, 1]
        shape[axis] = size
        moved = np.take_along_axis(x, np.clip(index, 0, size - 1).reshape(shape), axis=axis)
        x = moved * inside.reshape(shape)
    return x.astype(np.float32, copy=False)
