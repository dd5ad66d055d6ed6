"""The loop over the steps of some batches, compiled with what it repeats."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax.numpy as jnp
from jax import lax

from recurra_jax.framework import jax

State = TypeVar("State")
Batch = TypeVar("Batch")
Record = TypeVar("Record")


def over_steps(
    step: Callable[[State, Batch], tuple[State, Record]], state: State, batches: Batch, count: int | jax.Array | None
) -> tuple[State, Record]:
    """The state after the first `count` batches, and the record of each; those of the others are 0. None: all batches.

    `count` is not compiled in: one compiled loop serves however many steps come at once, with the same arithmetic, and
    so the same bytes. All batches are a loop whose length is compiled in, which a GPU runs without asking the host
    after each step whether there is another (`repeats`).
    """
    if count is None:
        return lax.scan(step, state, batches)
    one_batch = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape[1:], array.dtype), batches)
    shapes = jax.eval_shape(step, state, one_batch)[1]
    room = jax.tree.leaves(batches)[0].shape[0]
    records = jax.tree.map(lambda shape: jnp.zeros((room, *shape.shape), shape.dtype), shapes)

    def one(index: jax.Array, carry: tuple[State, Record]) -> tuple[State, Record]:
        state, records = carry
        state, record = step(state, jax.tree.map(lambda array: array[index], batches))
        return state, jax.tree.map(lambda all_, own: all_.at[index].set(own), records, record)

    return lax.fori_loop(0, count, one, (state, records))
