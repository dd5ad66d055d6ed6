"""The generator: a recurrent network over noise, and each of its hidden states turned into a frame."""

from __future__ import annotations

import jax.numpy as jnp
from recurra.contract import GanSpec
from recurra.gan_weights import KERNEL, start_map

from recurra_jax.bounds import within
from recurra_jax.convolution import Window, convolution
from recurra_jax.framework import jax
from recurra_jax.rnn import states
from recurra_jax.weights import Tree

EPSILON = 1e-5
_BORDER = KERNEL - 2
_DOUBLING = Window(pads=((_BORDER, _BORDER), (_BORDER, _BORDER)), spread=(2, 2))


def generate(weights: Tree, noise: jax.Array, content: jax.Array, labels: jax.Array, spec: GanSpec) -> jax.Array:
    """noise [B, T, noise], content [B, content], labels [B] -> [B, T, H, W, C], as `recurra.gan_weights` says.

    What is the same at every step, [content ; embedding], is multiplied once for a whole clip.
    """
    embedded = jax.nn.one_hot(labels, spec.classes) @ weights["generator.embedding"]
    code = jnp.concatenate([content, embedded], axis=1)
    hidden = states(weights, (jnp.swapaxes(noise, 0, 1), code[None]), spec, "generator.rnn")
    # From here on samples come first, as in what is made: [B, T, .], and the code for all steps [B, 1, .].
    frames = _frames(weights, hidden.swapaxes(0, 1), code[:, None], spec)
    return within(frames, spec).reshape(len(labels), *spec.sample.array)


def _frames(weights: Tree, hidden: jax.Array, code: jax.Array, spec: GanSpec) -> jax.Array:
    """[B, T, .] and [B, 1, .] -> frames before their bounds [B T, H, W, C]."""
    count = hidden.shape[0] * hidden.shape[1]
    a = _linear(weights, "generator.start", hidden, code).reshape(count, *start_map(spec))
    for number in range(1, len(spec.model.gan.channels) + 1):
        modulation = _linear(weights, f"generator.norm{number}", hidden, code)
        a = jax.nn.relu(_normed(a, modulation.reshape(count, 1, 1, modulation.shape[2])))
        name = f"generator.conv{number}"
        a = _doubled(a, weights[f"{name}.kernel"]) + weights[f"{name}.bias"]
    return a[:, : spec.sample.height, : spec.sample.width]


def _linear(weights: Tree, name: str, hidden: jax.Array, code: jax.Array) -> jax.Array:
    """l_t kernel + bias: [B, T, .]."""
    of_hidden, of_code = jnp.split(weights[f"{name}.kernel"], [hidden.shape[2]])
    return hidden @ of_hidden + (code @ of_code + weights[f"{name}.bias"])


def _normed(a: jax.Array, modulation: jax.Array) -> jax.Array:
    """Adaptive layer norm: maps [N, h, w, c], modulated by [scale ; shift] [N, 1, 1, 2c]."""
    scale, shift = jnp.split(modulation, 2, axis=3)
    axes = (1, 2, 3)
    mean, variance = a.mean(axes, keepdims=True), a.var(axes, keepdims=True)
    return (1 + scale) * ((a - mean) * jax.lax.rsqrt(variance + EPSILON)) + shift


def _doubled(a: jax.Array, kernel: jax.Array) -> jax.Array:
    """The transposed convolution that doubles height and width: [N, h, w, c], [4, 4, c, d] -> [N, 2h, 2w, d].

    As a convolution of the map with zeros between its elements, by the kernel from its end.
    """
    return convolution(a, kernel[::-1, ::-1], _DOUBLING)
