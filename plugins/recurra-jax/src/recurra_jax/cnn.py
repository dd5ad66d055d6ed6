"""The convolutional network: features of single frames."""

from __future__ import annotations

import math

import jax.numpy as jnp
from recurra.contract import ClassifierSpec
from recurra.weights import feature_map

from recurra_jax.convolution import Window, convolution
from recurra_jax.framework import jax
from recurra_jax.precision import factor, product
from recurra_jax.weights import Tree


def frame_features(weights: Tree, frames: jax.Array, spec: ClassifierSpec) -> jax.Array:
    """Convolutions, ReLU and max pooling, then dense layers: frames [N, H, W, C] -> [N, F] float32."""
    cnn, precision = spec.model.cnn, spec.train.precision
    pad = cnn.kernel // 2 if cnn.padding == "same" else 0
    window = Window(pads=((pad, pad), (pad, pad)))
    x = frames
    for number in range(1, len(cnn.channels) + 1):
        maps = convolution(factor(x, precision), factor(weights[f"cnn.conv{number}.kernel"], precision), window)
        # The maximum of biased ReLUs is the biased ReLU of the maximum, on pool * pool times fewer numbers. In float32,
        # as is so the bias's gradient, a sum over all of them.
        x = jax.nn.relu(_pooled(maps, cnn.pool).astype(jnp.float32) + weights[f"cnn.conv{number}.bias"])
    x = x.reshape(len(frames), math.prod(feature_map(spec)))
    for number in range(1, len(cnn.dense) + 1):
        x = product(x, weights[f"cnn.dense{number}.kernel"], precision) + weights[f"cnn.dense{number}.bias"]
        x = jax.nn.relu(x)
    return x


def _pooled(x: jax.Array, pool: int) -> jax.Array:
    """The largest of each square of side `pool`: [N, H, W, C] -> [N, H // pool, W // pool, C].

    As a reshaping: XLA's own windows overlap in general, and their gradient searches each for its maximum again.
    """
    if pool == 1:
        return x
    samples, height, width, channels = x.shape
    height, width = height // pool, width // pool
    x = x[:, : height * pool, : width * pool]
    return x.reshape(samples, height, pool, width, pool, channels).max(axis=(2, 4))


def features(weights: Tree, x: jax.Array, spec: ClassifierSpec) -> jax.Array:
    """Samples [B, T, H, W, C] -> [B, F]: the features of each frame, averaged over time."""
    samples, frames, *frame = x.shape
    of_frames = frame_features(weights, x.reshape(samples * frames, *frame), spec)
    return of_frames.reshape(samples, frames, of_frames.shape[1]).mean(axis=1)
