"""Differentiable augmentation (Zhao et al., 2020): random changes of what the discriminators see, drawn by core."""

from __future__ import annotations

import math

from recurra.contract import GanSpec
from recurra_tensorflow.framework import tf
from recurra_tensorflow.shapes import sizes


class Augmentation:
    """Brightness, translation and cutout of samples, as `recurra.gan_weights` says; all frames of a clip alike.

    A translation is a product with a matrix of zeros and ones: quick at these sizes, and its gradient is a product too,
    where that of a gather adds in any order on a GPU.
    """

    def __init__(self, spec: GanSpec) -> None:
        train = spec.train.gan
        self._sides = (spec.sample.height, spec.sample.width)
        self._brightness = train.brightness
        self._margins = tuple(math.floor(train.translation * side + 0.5) for side in self._sides)
        self._holes = tuple(math.floor(train.cutout * side + 0.5) for side in self._sides)

    def __call__(self, x: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Samples [B, T, H, W, C], draws [B, 5] in [0, 1) -> samples."""
        # float64, so that every backend rounds a product down to the same number.
        draws = tf.cast(draws, tf.float64)
        if self._brightness:
            added = tf.cast((2.0 * draws[:, 0] - 1.0) * self._brightness, x.dtype)
            x = x + added[:, *[tf.newaxis] * 4]
        if any(self._margins):
            x = self._translated(x, draws[:, 1:3])
        if all(self._holes):
            x = x * self._kept(draws[:, 3:5])
        return x

    def _translated(self, x: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        frames, height, width, channels = sizes(x)
        spans = tf.constant([2.0 * margin + 1.0 for margin in self._margins], draws.dtype)
        rows, columns = tf.unstack(tf.cast(tf.floor(draws * spans), tf.int32) - tf.constant(self._margins), axis=1)
        lines = tf.reshape(x, [-1, frames, height, width * channels])
        # A pixel's channels lie side by side, so a column is as many places.
        moved = _shift(rows, height)[:, tf.newaxis] @ lines
        flat = tf.reshape(moved, [-1, frames * height, width * channels])
        moved = tf.matmul(flat, _shift(columns * channels, width * channels), transpose_b=True)
        return tf.reshape(moved, [-1, frames, height, width, channels])

    def _kept(self, draws: tf.Tensor) -> tf.Tensor:
        """[B, 1, H, W, 1]: 0 in a rectangle, 1 elsewhere."""
        rows, columns = (
            self._inside(draws[:, axis], side, hole)
            for axis, (side, hole) in enumerate(zip(self._sides, self._holes, strict=True))
        )
        return 1.0 - rows[:, tf.newaxis, :, tf.newaxis, tf.newaxis] * columns[:, tf.newaxis, tf.newaxis, :, tf.newaxis]

    def _inside(self, draws: tf.Tensor, side: int, hole: int) -> tf.Tensor:
        """[B, side]: 1 where the rectangle is, along one axis."""
        first = tf.cast(tf.floor(draws * (side + 1.0)), tf.int32)[:, tf.newaxis] - hole // 2
        places = tf.range(side)
        return tf.cast((places >= first) & (places < first + hole), tf.float32)


def _shift(places: tf.Tensor, side: int) -> tf.Tensor:
    """The matrices [B, side, side] that move a vector by as many places [B]; 0 comes in."""
    origin = tf.range(side) - places[:, tf.newaxis]
    return tf.one_hot(origin, side)
