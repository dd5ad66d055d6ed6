"""The discriminators: of single frames, and of whole clips."""

from __future__ import annotations

import math

import jax.numpy as jnp
from recurra.contract import GanSpec
from recurra.gan_weights import has_clip_discriminator, time_steps

from recurra_jax.bounds import centred
from recurra_jax.convolution import Window, convolution
from recurra_jax.framework import jax
from recurra_jax.weights import Tree

SLOPE = 0.2
Seen = tuple[jax.Array, ...]
"""What each discriminator sees: the chosen frames [B, F, H, W, C], and of clips the whole [B, T, H, W, C]."""
_HALVING = Window((2, 2), ((1, 1), (1, 1)))
_HALVING_TIME = Window((2, 1), ((1, 1), (0, 0)))


def seen(x: jax.Array, frames: jax.Array | None, spec: GanSpec) -> Seen:
    """What they see of samples [B, T, H, W, C] (augmented), of the chosen frames [B, F] or all."""
    x = centred(x, spec)
    if not has_clip_discriminator(spec):
        return (x,)
    if frames is None:
        return x, x
    # As a product: its gradient needs no scatter, which on a GPU has to go one by one to be repeatable.
    return jnp.einsum("bft,bthwc->bfhwc", jax.nn.one_hot(frames, spec.sample.frames), x), x


def judged(weights: Tree, seen: Seen, labels: jax.Array, spec: GanSpec) -> tuple[jax.Array, ...]:
    """The logits, of normalised weights: of the frames [B, F], and of clips [B, 1]; labels [B]."""
    classes = jax.nn.one_hot(labels, spec.classes)
    networks = (_of_frames, _of_clips)
    return tuple(network(weights, x, classes, spec) for network, x in zip(networks, seen, strict=False))


def _of_frames(weights: Tree, frames: jax.Array, classes: jax.Array, spec: GanSpec) -> jax.Array:
    """Every frame by itself: [B, F, H, W, C], classes [B, K] (one-hot) -> logits [B, F]."""
    return _logits(weights, "frame", _maps(weights, "frame", len(spec.model.gan.frame_channels), frames), classes)


def _of_clips(weights: Tree, clips: jax.Array, classes: jax.Array, spec: GanSpec) -> jax.Array:
    """A clip as a whole: [B, T, H, W, C], classes [B, K] (one-hot) -> logits [B, 1]."""
    maps = _maps(weights, "clip", len(spec.model.gan.clip_channels), clips)
    x = _leaky_relu(maps @ weights["clip.dense.kernel"] + weights["clip.dense.bias"])[:, :, None]
    for number in range(1, len(time_steps(spec)) + 1):
        kernel, bias = (weights[f"clip.time{number}.{part}"] for part in ("kernel", "bias"))
        x = _leaky_relu(convolution(x, kernel[:, None], _HALVING_TIME) + bias)
    return _logits(weights, "clip", x.reshape(len(x), 1, math.prod(x.shape[1:])), classes)


def _maps(weights: Tree, name: str, depth: int, frames: jax.Array) -> jax.Array:
    """The flattened last maps of every frame: [B, F, H, W, C] -> [B, F, .]."""
    samples, count, *frame = frames.shape
    x = frames.reshape(samples * count, *frame)
    for number in range(1, depth + 1):
        kernel, bias = (weights[f"{name}.conv{number}.{part}"] for part in ("kernel", "bias"))
        x = _leaky_relu(convolution(x, kernel, _HALVING) + bias)
    return x.reshape(samples, count, math.prod(x.shape[1:]))


def _logits(weights: Tree, name: str, features: jax.Array, classes: jax.Array) -> jax.Array:
    """phi output.kernel + output.bias + projection_y . phi: features [B, F, P], classes [B, K] -> [B, F]."""
    own = weights[f"{name}.output.kernel"][:, 0] + classes @ weights[f"{name}.projection"]
    return (features * own[:, None]).sum(axis=2) + weights[f"{name}.output.bias"]


def _leaky_relu(x: jax.Array) -> jax.Array:
    # By hand: at 0, where black borders under a bias of 0 lie, `jax.nn.leaky_relu` has the slope 1, the others SLOPE.
    return jnp.where(x > 0, x, SLOPE * x)
