"""Static shapes."""

from __future__ import annotations

from recurra_tensorflow.framework import tf


def sizes(x: tf.Tensor | tf.Variable) -> list[int]:
    """The sizes of all axes but the first, which a graph leaves open."""
    return [size for size in x.shape[1:] if size is not None]
