"""How stored pixel values become network input: background removal, statistics, scale and offset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recurra.experiment import Normalise

Removal = Literal["none", "frame_median", "frame_mean", "clip_median", "clip_mean"]


@dataclass(frozen=True)
class Normalisation:
    """Network input = pixels * scale + offset, per channel, in float32."""

    scale: tuple[float, ...]
    """One number a channel, exactly representable in float32."""
    offset: tuple[float, ...]
    """Likewise."""

    def apply(self, pixels: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """pixels [..., C] uint8 or float32 -> float32 of the same shape, written into `out` where that is given."""
        if out is None:
            out = np.empty(pixels.shape, np.float32)
        flat, result = pixels, out
        repeat = 1
        if (
            len(set(zip(self.scale, self.offset, strict=True))) > 1
            and pixels.flags.c_contiguous
            and out.flags.c_contiguous
        ):
            # NumPy's inner loop over 3 channels is slow, over a whole row of pixels it is not.
            repeat = pixels.shape[-2] if pixels.ndim > 1 else 1
            row = repeat * len(self.scale)
            flat, result = pixels.reshape(-1, row), out.reshape(-1, row)
        np.multiply(flat, self._vector(self.scale, repeat), out=result, dtype=np.float32)
        if any(self.offset):
            np.add(result, self._vector(self.offset, repeat), out=result)
        return out

    def restore(self, x: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """The pixels [..., C] that network input stands for, in `dtype`; 8-bit values are rounded and clipped."""
        scale, offset = np.asarray(self.scale, np.float32), np.asarray(self.offset, np.float32)
        pixels = (x - offset) / scale
        if dtype == np.uint8:
            pixels = np.clip(np.rint(pixels), 0, 255)
        return pixels.astype(dtype)

    @staticmethod
    def _vector(values: tuple[float, ...], repeat: int) -> np.ndarray | np.float32:
        same = len(set(values)) == 1
        return np.float32(values[0]) if same else np.tile(np.asarray(values, np.float32), repeat)

    def to_json(self) -> dict[str, list[float]]:
        """Plain numbers; `from_json` gives the same object back."""
        return {"scale": list(self.scale), "offset": list(self.offset)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Normalisation:
        """What `to_json` wrote; KeyError, TypeError or ValueError where it is not that."""
        scale, offset = _float32s(value["scale"]), _float32s(value["offset"])
        if not scale or len(scale) != len(offset) or not np.isfinite(scale + offset).all():
            raise ValueError("scale and offset are not finite numbers of equal count")
        return cls(scale, offset)


def _float32s(values: Any) -> tuple[float, ...]:
    return tuple(np.asarray(values, np.float32).tolist())


_LEVELS = np.arange(256)


@dataclass(frozen=True)
class Statistics:
    """What normalisation is made from, gathered block by block. Values per channel.

    8-bit values are summed as integers, so the result does not depend on the blocks at all; float32 values are joined
    in float64 by the pairwise update of Chan, Golub and LeVeque (1983), in the order of the blocks.
    """

    count: int
    """Values seen in each channel."""
    mean: tuple[float, ...]
    squares: tuple[float, ...]
    """Sum of squared distances from the mean."""
    low: tuple[float, ...]
    high: tuple[float, ...]
    sums: tuple[tuple[int, int], ...] | None = None
    """Per channel the sum and the sum of squares of 8-bit values; None for float32."""

    @classmethod
    def of(cls, pixels: np.ndarray) -> Statistics:
        """The statistics of pixels [..., C], uint8 or float32, at least one of them."""
        channels = pixels.reshape(-1, pixels.shape[-1]).T
        count = channels.shape[1]
        if pixels.dtype == np.uint8:
            histograms = [np.bincount(channel, minlength=256) for channel in channels]
            seen = [np.flatnonzero(histogram) for histogram in histograms]
            sums = tuple((_dot(h, _LEVELS), _dot(h, _LEVELS**2)) for h in histograms)
            return cls._of_sums(count, sums, tuple(int(s[0]) for s in seen), tuple(int(s[-1]) for s in seen))
        mean = tuple(float(channel.mean(dtype=np.float64)) for channel in channels)
        squares = tuple(float(np.square(c - np.float64(m)).sum()) for c, m in zip(channels, mean, strict=True))
        low, high = (tuple(float(bound(channel)) for channel in channels) for bound in (np.min, np.max))
        return cls(count, mean, squares, low, high)

    @classmethod
    def _of_sums(
        cls, count: int, sums: tuple[tuple[int, int], ...], low: tuple[float, ...], high: tuple[float, ...]
    ) -> Statistics:
        mean = tuple(total / count for total, _ in sums)
        # Python's integers make this difference exact; only the division rounds.
        squares = tuple((count * square - total * total) / count for total, square in sums)
        return cls(count, mean, squares, low, high, sums)

    def joined(self, other: Statistics) -> Statistics:
        """The statistics of both."""
        low = tuple(map(min, self.low, other.low))
        high = tuple(map(max, self.high, other.high))
        count = self.count + other.count
        if self.sums is not None and other.sums is not None:
            pairs = zip(self.sums, other.sums, strict=True)
            return self._of_sums(count, tuple((a[0] + b[0], a[1] + b[1]) for a, b in pairs), low, high)
        delta = np.subtract(other.mean, self.mean)
        mean = np.add(self.mean, delta * (other.count / count))
        squares = np.add(self.squares, other.squares) + delta**2 * (self.count * other.count / count)
        return Statistics(count, tuple(mean.tolist()), tuple(squares.tolist()), low, high)

    @property
    def std(self) -> tuple[float, ...]:
        """Population standard deviation."""
        return tuple((s / self.count) ** 0.5 for s in self.squares)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, for the dataset's metadata."""
        return {
            "count": self.count,
            "mean": list(self.mean),
            "std": list(self.std),
            "low": list(self.low),
            "high": list(self.high),
        }


def _dot(histogram: np.ndarray, values: np.ndarray) -> int:
    return int(histogram @ values)


def normalisation(settings: Normalise, dtype: np.dtype, statistics: Statistics) -> Normalisation:
    """The normalisation that `data.normalise` asks for, given the training split's statistics and the stored dtype."""
    channels = len(statistics.mean)
    how = settings.scale
    if how == "auto":
        how = "unit" if dtype == np.uint8 else "standard"
    if how == "standard":
        # A channel that never changes carries nothing: it becomes 0, not a division by zero.
        scale = np.array([1 / s if s > 0 else 1.0 for s in statistics.std])
        return Normalisation(_float32s(scale), _float32s(-np.array(statistics.mean) * scale))
    return Normalisation(_float32s([1 / 255 if how == "unit" else 1.0] * channels), (0.0,) * channels)


def remove_background(clips: np.ndarray, how: Removal) -> np.ndarray:
    """clips [n, T, H, W, C] -> float32 less each frame's (or each clip's) own median or mean per channel."""
    if how == "none":
        return clips.astype(np.float32, copy=False)
    axes = (2, 3) if how.startswith("frame") else (1, 2, 3)
    if how.endswith("mean"):
        level = clips.mean(axes, dtype=np.float64, keepdims=True).astype(np.float32)
    else:
        level = np.median(clips, axes, keepdims=True).astype(np.float32)
    return np.subtract(clips, level, dtype=np.float32)
