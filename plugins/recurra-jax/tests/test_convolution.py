"""Convolutions whose gradients are their own, against JAX's."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from recurra_jax.convolution import Window, convolution
from recurra_jax.framework import jax

Convolve = Callable[[jax.Array, jax.Array, Window], jax.Array]
WINDOWS = {
    "same": Window(pads=((1, 1), (1, 1))),
    "halving": Window((2, 2), ((1, 1), (1, 1))),
    "doubling": Window(pads=((2, 2), (2, 2)), spread=(2, 2)),
    "over rows": Window((2, 1), ((1, 1), (0, 0))),
}


def of_jax(x: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    axes = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, window.stride, window.pads, window.spread, window.reach, axes)


def values(convolve: Convolve, x: jax.Array, kernel: jax.Array, window: Window) -> list[jax.Array]:
    """Result, gradients by both, and both gradients of the length of the one by x."""

    def first(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.sin(convolve(x, kernel, window)).sum()

    def second(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.square(jax.grad(first)(x, kernel)).sum()

    return [convolve(x, kernel, window), *jax.grad(first, (0, 1))(x, kernel), *jax.grad(second, (0, 1))(x, kernel)]


@pytest.mark.parametrize("size", [8, 7])
@pytest.mark.parametrize("window", WINDOWS)
def test_gradients_and_theirs_are_those_of_jax(window: str, size: int) -> None:
    draw = np.random.default_rng(0)
    x, kernel = (jnp.asarray(draw.normal(size=s), jnp.float32) for s in ((2, size, size, 3), (4, 4, 3, 2)))
    found, expected = (values(convolve, x, kernel, WINDOWS[window]) for convolve in (convolution, of_jax))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
