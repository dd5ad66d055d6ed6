"""The least and largest value of normalised pixels: what a generator keeps to, and what discriminators scale by."""

from __future__ import annotations

import numpy as np

from recurra.contract import GanSpec
from recurra_tensorflow.framework import tf


class Bounds:
    """Between any numbers, the pixels' range and -1 to 1, by channel; all alike where pixels have no bounds."""

    def __init__(self, spec: GanSpec) -> None:
        self._bounded = spec.bounds is not None
        low, high = np.array(spec.bounds or [(-1.0, 1.0)], np.float32).T
        self._middle, self._reach = (low + high) / 2, (high - low) / 2

    def within(self, x: tf.Tensor) -> tf.Tensor:
        """Any numbers [..., C] -> pixels."""
        return self._middle + self._reach * tf.tanh(x) if self._bounded else x

    def centred(self, x: tf.Tensor) -> tf.Tensor:
        """Pixels [..., C] -> numbers between -1 and 1."""
        return (x - self._middle) / self._reach if self._bounded else x
