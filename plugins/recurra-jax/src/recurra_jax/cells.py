"""LSTM and GRU over all steps of a layer (the equations stand in `recurra.weights`).

The recurrent kernel is rounded within the step: its gradient, a sum over the steps, is so added up in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import jax.numpy as jnp
from jax import lax

from recurra_jax.framework import jax
from recurra_jax.precision import product

Precision = Literal["fp32", "bf16"]
Cell = Callable[[jax.Array, Mapping[str, jax.Array], Precision, bool], jax.Array]


def lstm(inputs: jax.Array, weights: Mapping[str, jax.Array], precision: Precision, reverse: bool) -> jax.Array:
    """x_t kernel + bias [T, B, 4U] -> h_t [T, B, U]; with `reverse` from the last step to the first."""
    kernel = weights["recurrent_kernel"]
    start = jnp.zeros((inputs.shape[1], kernel.shape[0]), jnp.float32)

    def step(carry: tuple[jax.Array, jax.Array], x: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        h, c = carry
        i, f, g, o = jnp.split(x + product(h, kernel, precision), 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    return lax.scan(step, (start, start), inputs, reverse=reverse)[1]


def gru(inputs: jax.Array, weights: Mapping[str, jax.Array], precision: Precision, reverse: bool) -> jax.Array:
    """x_t kernel + bias [T, B, 3U] -> h_t [T, B, U]; with `reverse` from the last step to the first."""
    kernel, bias = weights["recurrent_kernel"], weights["recurrent_bias"]
    start = jnp.zeros((inputs.shape[1], kernel.shape[0]), jnp.float32)

    def step(h: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        x_r, x_z, x_n = jnp.split(x, 3, axis=1)
        h_r, h_z, h_n = jnp.split(product(h, kernel, precision), 3, axis=1)
        r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
        n = jnp.tanh(x_n + r * (h_n + bias))
        h = n + z * (h - n)
        return h, h

    return lax.scan(step, start, inputs, reverse=reverse)[1]


CELLS: dict[str, Cell] = {"lstm": lstm, "gru": gru}
