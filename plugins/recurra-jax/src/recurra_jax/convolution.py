"""Convolutions whose gradients are convolutions of the same form, and so quick on the CPU inside a loop too.

Within the body of a loop, XLA's CPU compiler leaves a convolution's axes as they are, and computes one whose axes are
not in the order [N, H, W, C], [h, w, in, out] by its slowest means (jax-ml/jax issue 12868). JAX's own gradient by the
kernel is such a one: a training step of the default CNN took 180 ms in a loop and 12 ms outside. Here every gradient is
written as another `convolution` of transposed arrays, the gradients of gradients that a GAN's penalties need among
them: 12 ms either way.
"""

from __future__ import annotations

from typing import NamedTuple

from jax import lax

from recurra_jax.framework import jax

Pair = tuple[int, int]
Sizes = tuple[int, ...]
Pads = tuple[Pair, Pair]


class Window(NamedTuple):
    """How a kernel goes over maps: (rows, columns) each."""

    stride: Pair = (1, 1)
    pads: Pads = ((0, 0), (0, 0))
    """(before, after) of rows and of columns; a negative one cuts."""
    spread: Pair = (1, 1)
    """Distance of the maps' elements, zeros between them: 2 makes a convolution that doubles."""
    reach: Pair = (1, 1)
    """The same of the kernel's elements."""


def _convolution(x: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """Cross-correlation: x [N, H, W, in], kernel [h, w, in, out] -> [N, H', W', out], in their dtype."""
    return lax.conv_general_dilated(
        x, kernel, window.stride, window.pads, window.spread, window.reach, ("NHWC", "HWIO", "NHWC")
    )


def _forward(x: jax.Array, kernel: jax.Array, window: Window) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    # Not _convolution: a gradient of the gradient comes this way again, and JAX's own would be what it met.
    return convolution(x, kernel, window), (x, kernel)


def _backward(window: Window, kept: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = kept
    of_x, of_kernel = _windows(window, x.shape[1:3], kernel.shape[:2], gradient.shape[1:3])
    by_x = convolution(gradient, kernel[::-1, ::-1].swapaxes(2, 3), of_x)
    # Samples and channels change places: the kernel's gradient is summed over samples as a map is over channels.
    by_kernel = convolution(x.transpose(3, 1, 2, 0), gradient.transpose(1, 2, 0, 3), of_kernel)
    return by_x, by_kernel.transpose(1, 2, 0, 3)


def _windows(window: Window, maps: Sizes, kernel: Sizes, results: Sizes) -> tuple[Window, Window]:
    """Of the convolutions that give the gradients by the maps and by the kernel."""
    of_x, of_kernel = [], []
    for axis in (0, 1):
        before = window.pads[axis][0]
        width = (maps[axis] - 1) * window.spread[axis] + 1
        field = (kernel[axis] - 1) * window.reach[axis] + 1
        reached = (results[axis] - 1) * window.stride[axis] + 1
        of_x.append((field - 1 - before, width - reached + before))
        of_kernel.append((before, reached + field - 1 - width - before))
    return (
        Window(window.spread, (of_x[0], of_x[1]), window.stride, window.reach),
        Window(window.reach, (of_kernel[0], of_kernel[1]), window.spread, window.stride),
    )


convolution = jax.custom_vjp(_convolution, nondiff_argnums=(2,))
convolution.defvjp(_forward, _backward)
