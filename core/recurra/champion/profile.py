"""What samples look like, class by class: brightness, contrast and a histogram of pixel values, gathered in blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVELS = 256


@dataclass(frozen=True)
class Scale:
    """Which level of the histogram a value has: 8-bit values are their own; floats, the parts of the champion's range,
    with the first and the last level for what lies outside.
    """

    low: tuple[float, ...] | None = None
    """Per channel; None for 8-bit values."""
    high: tuple[float, ...] = ()

    def levels(self, values: np.ndarray, channel: int) -> np.ndarray:
        """Integers of the shape of `values`, below LEVELS."""
        if self.low is None:
            return values
        low, width = self.low[channel], self.high[channel] - self.low[channel]
        inner = (values.astype(np.float64) - low) * ((LEVELS - 2) / (width if width > 0 else 1.0))
        return np.clip(np.floor(inner) + 1, 0, LEVELS - 1).astype(np.int64)


@dataclass
class Profile:
    """Sums over the samples of each class: K classes, C channels."""

    scale: Scale
    counts: np.ndarray
    """[K] int64."""
    sums: np.ndarray
    """[K, 2, C] float64: of each sample's mean and standard deviation."""
    squares: np.ndarray
    """[K, 2, C] float64: of their squares."""
    histogram: np.ndarray
    """[K, C, LEVELS] int64, pixels of each level."""

    @classmethod
    def empty(cls, scale: Scale, classes: int, channels: int) -> Profile:
        """Of no samples."""
        two = (classes, 2, channels)
        return cls(
            scale,
            np.zeros(classes, np.int64),
            np.zeros(two),
            np.zeros(two),
            np.zeros((classes, channels, LEVELS), np.int64),
        )

    def add(self, pixels: np.ndarray, labels: np.ndarray) -> None:
        """Samples: pixels [n, T, H, W, C], labels [n]."""
        if not len(labels):
            return
        classes, channels = len(self.counts), pixels.shape[-1]
        flat = pixels.reshape(len(pixels), -1, channels)
        for channel in range(channels):
            values = np.ascontiguousarray(flat[:, :, channel])
            exact = values.astype(np.float64)
            for row, feature in enumerate((exact.mean(1), exact.std(1))):
                self.sums[:, row, channel] += np.bincount(labels, feature, classes)
                self.squares[:, row, channel] += np.bincount(labels, feature**2, classes)
            places = self.scale.levels(values, channel) + labels[:, None] * LEVELS
            found = np.bincount(places.ravel(), minlength=classes * LEVELS)
            self.histogram[:, channel] += found.reshape(classes, LEVELS)
        self.counts += np.bincount(labels, minlength=classes)
