"""The discriminators: of single frames, and of whole clips."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from recurra.contract import GanSpec
from recurra.gan_weights import KERNEL, has_clip_discriminator, time_steps
from recurra_tensorflow.bounds import Bounds
from recurra_tensorflow.framework import tf
from recurra_tensorflow.scan import Tensors
from recurra_tensorflow.shapes import sizes

SLOPE = 0.2
Weights = Mapping[str, tf.Tensor]
Discriminator = Callable[[Weights, tf.Tensor, tf.Tensor], tf.Tensor]


class Discriminators:
    """Both discriminators, or an image's one; their weights are given, since spectral normalisation changes them.

    What they see is a tuple: the chosen frames [B, F, H, W, C], and of clips the whole [B, T, H, W, C].
    """

    def __init__(self, spec: GanSpec) -> None:
        self._classes = spec.classes
        self._bounds = Bounds(spec)
        networks: list[Discriminator] = [FrameDiscriminator(spec)]
        if has_clip_discriminator(spec):
            networks.append(ClipDiscriminator(spec))
        self._networks = networks

    def seen(self, x: tf.Tensor, frames: tf.Tensor) -> Tensors:
        """What they see of samples [B, T, H, W, C] (augmented), of the chosen frames [B, F]."""
        x = self._bounds.centred(x)
        if len(self._networks) == 1:
            return (x,)
        # As a product: its gradient needs no scatter, which adds in any order on a GPU.
        (count,), (length, *frame) = sizes(frames), sizes(x)
        chosen = tf.matmul(tf.one_hot(frames, length), tf.reshape(x, [-1, length, math.prod(frame)]))
        return tf.reshape(chosen, [-1, count, *frame]), x

    def __call__(self, weights: Weights, seen: Tensors, labels: tf.Tensor) -> Tensors:
        """The logits: of the frames [B, F], and of clips [B, 1]; labels [B]."""
        classes = tf.one_hot(labels, self._classes)
        return tuple(network(weights, x, classes) for network, x in zip(self._networks, seen, strict=True))


class FrameDiscriminator:
    """Judges every frame by itself."""

    def __init__(self, spec: GanSpec) -> None:
        self._depth = len(spec.model.gan.frame_channels)

    def __call__(self, weights: Weights, frames: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """Frames [B, F, H, W, C], classes [B, K] (one-hot) -> logits [B, F]."""
        return _logits(weights, "frame", _maps(weights, "frame.conv", self._depth, frames), classes)


class ClipDiscriminator:
    """Judges a clip as a whole: maps of each frame, then convolutions over time."""

    def __init__(self, spec: GanSpec) -> None:
        self._depth = len(spec.model.gan.clip_channels)
        self._time_depth = len(time_steps(spec))

    def __call__(self, weights: Weights, clips: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """Clips [B, T, H, W, C], classes [B, K] (one-hot) -> logits [B, 1]."""
        maps = _maps(weights, "clip.conv", self._depth, clips)
        x = leaky_relu(tf.tensordot(maps, weights["clip.dense.kernel"], 1) + weights["clip.dense.bias"])
        x = x[:, :, tf.newaxis]
        for number in range(1, self._time_depth + 1):
            kernel = weights[f"clip.time{number}.kernel"][:, tf.newaxis]
            x = leaky_relu(_halved(x, kernel, weights[f"clip.time{number}.bias"]))
        return _logits(weights, "clip", tf.reshape(x, [-1, 1, math.prod(sizes(x))]), classes)


def _maps(weights: Weights, name: str, depth: int, frames: tf.Tensor) -> tf.Tensor:
    """The flattened last maps of every frame: [B, F, H, W, C] -> [B, F, .]."""
    count, *frame = sizes(frames)
    x = tf.reshape(frames, [-1, *frame])
    for number in range(1, depth + 1):
        x = leaky_relu(_halved(x, weights[f"{name}{number}.kernel"], weights[f"{name}{number}.bias"]))
    return tf.reshape(x, [-1, count, math.prod(sizes(x))])


def _logits(weights: Weights, name: str, features: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """phi output.kernel + output.bias + projection_y . phi: features [B, F, P], classes [B, K] -> [B, F]."""
    count, width = sizes(features)
    flat = tf.reshape(features, [-1, width])
    of_all = tf.matmul(flat, weights[f"{name}.projection"], transpose_b=True)
    of_own = tf.reduce_sum(tf.reshape(of_all, [-1, count, *sizes(classes)]) * classes[:, tf.newaxis], axis=2)
    shared = tf.matmul(flat, weights[f"{name}.output.kernel"]) + weights[f"{name}.output.bias"]
    return tf.reshape(shared, [-1, count]) + of_own


def _halved(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Convolved with stride 2 and a padding of 1, along those of the two axes over which the kernel is long."""
    sides = [side == KERNEL for side in kernel.shape[:2]]
    strides = [1 + long for long in sides]
    if all(size % 2 == 0 for size, long in zip(sizes(x), sides, strict=False) if long):
        # The same windows as "SAME", which is twice as fast as explicit padding on the CPU.
        return tf.nn.bias_add(tf.nn.conv2d(x, kernel, strides, "SAME"), bias)
    padded = tf.pad(x, [[0, 0], *([int(long)] * 2 for long in sides), [0, 0]])
    return tf.nn.bias_add(tf.nn.conv2d(padded, kernel, strides, "VALID"), bias)


@tf.custom_gradient
def leaky_relu(x: tf.Tensor) -> Any:
    """LeakyReLU whose gradient is linear once and for all.

    Its slopes are constants to a second gradient. TensorFlow's own passes zeros on to everything before it, and a
    penalty's gradient would be carried through all layers twice.
    """
    y = tf.nn.leaky_relu(x, SLOPE)
    constant = tf.stop_gradient(y)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return tf.raw_ops.LeakyReluGrad(gradients=upstream, features=constant, alpha=SLOPE)

    return y, gradient
