"""The precision that an experiment asks for: what the factors of products and convolutions are rounded to.

In bfloat16 a product is rounded to it, too, once it is added up: its gradient is then a product of bfloat16 numbers
again, as with PyTorch's autocast, where one of a float32 result would multiply float32 by bfloat16, and slowly. What is
added to it, and every sum over samples or steps, is float32.
"""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp

from recurra_jax.framework import jax


def factor(value: jax.Array, precision: Literal["fp32", "bf16"]) -> jax.Array:
    """`value` as a factor of a product: as it is, or in bfloat16."""
    return value.astype(jnp.bfloat16) if precision == "bf16" else value


def product(x: jax.Array, kernel: jax.Array, precision: Literal["fp32", "bf16"]) -> jax.Array:
    """x [..., k] times kernel [k, n] -> float32 [..., n]."""
    return (factor(x, precision) @ factor(kernel, precision)).astype(jnp.float32)
