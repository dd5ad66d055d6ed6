"""Differentiable augmentation (Zhao et al., 2020): random changes of what the discriminators see, drawn by core."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from recurra.contract import GanSpec

from recurra_jax.framework import jax
from recurra_jax.weights import Array


class Changes(NamedTuple):
    """What is done to each sample: [..., B] each, all frames of a clip alike."""

    added: Array
    """float32."""
    rows: Array
    """int32: places to move downwards."""
    columns: Array
    """int32: places to move to the right."""
    top: Array
    """int32: the first row of the square that is blanked."""
    left: Array
    """int32: its first column."""


def changes(draws: np.ndarray, spec: GanSpec) -> Changes:
    """The changes [...] that draws [..., 5] in [0, 1) stand for, on the host: they are rounded down in float64."""
    u = np.moveaxis(draws.astype(np.float64), -1, 0)
    added = ((2 * u[0] - 1) * spec.train.gan.brightness).astype(np.float32)
    moved, first = [], []
    for axis, (side, margin, hole) in enumerate(zip(_sides(spec), _margins(spec), _holes(spec), strict=True)):
        moved.append((np.floor(u[1 + axis] * (2 * margin + 1)) - margin).astype(np.int32))
        first.append((np.floor(u[3 + axis] * (side + 1)) - hole // 2).astype(np.int32))
    return Changes(added, moved[0], moved[1], first[0], first[1])


def augmented(x: jax.Array, changes: Changes, spec: GanSpec) -> jax.Array:
    """Samples [B, T, H, W, C], their changes [B] -> samples."""
    if spec.train.gan.brightness:
        x = x + _wide(changes.added)
    if any(_margins(spec)):
        # As products with matrices of zeros and ones: the gradient of a product is one too, that of a gather a scatter.
        x = jnp.einsum("bij,btjwc->btiwc", _shift(changes.rows, spec.sample.height), x)
        x = jnp.einsum("bij,bthjc->bthic", _shift(changes.columns, spec.sample.width), x)
    if all(_holes(spec)):
        rows, columns = (
            _inside(first, hole, side)
            for first, hole, side in zip((changes.top, changes.left), _holes(spec), _sides(spec), strict=True)
        )
        x = x * (1 - rows[:, None, :, None, None] * columns[:, None, None, :, None])
    return x


def _sides(spec: GanSpec) -> tuple[int, int]:
    return spec.sample.height, spec.sample.width


def _margins(spec: GanSpec) -> tuple[int, ...]:
    """The most places to move, of rows and of columns."""
    part = spec.train.gan.translation
    return tuple(math.floor(part * side + 0.5) for side in _sides(spec))


def _holes(spec: GanSpec) -> tuple[int, ...]:
    """Rows and columns of what is blanked."""
    part = spec.train.gan.cutout
    return tuple(math.floor(part * side + 0.5) for side in _sides(spec))


def _wide(values: jax.Array) -> Array:
    """[B] -> [B, 1, 1, 1, 1]."""
    return values[:, None, None, None, None]


def _shift(places: jax.Array, side: int) -> jax.Array:
    """The matrices [B, side, side] that move a vector by as many places [B]; 0 comes in."""
    return jax.nn.one_hot(jnp.arange(side) - places[:, None], side)


def _inside(first: jax.Array, length: int, side: int) -> jax.Array:
    """[B, side]: 1 for as many places from the first [B] on."""
    places, first = jnp.arange(side), first[:, None]
    return ((places >= first) & (places < first + length)).astype(jnp.float32)
