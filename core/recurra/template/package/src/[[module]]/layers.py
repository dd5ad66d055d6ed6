"""Layers that return their output and a function from its gradient to those of what went in, in float64.

A framework differentiates by itself: where you have one, this module goes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray
Back = Callable[[Array], tuple[Array, ...]]


def convolution(x: Array, kernel: Array, bias: Array, padding: str) -> tuple[Array, Back]:
    """Cross-correlation: x [N, H, W, in], kernel [k, k, in, out] -> [N, H', W', out]; back: of x, kernel and bias."""
    k = len(kernel)
    edge = k // 2 if padding == "same" else 0
    padded = np.pad(x, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    height, width = padded.shape[1] - k + 1, padded.shape[2] - k + 1
    places = [(i, j, np.s_[:, i : i + height, j : j + width]) for i in range(k) for j in range(k)]
    y = bias + sum(padded[part] @ kernel[i, j] for i, j, part in places)

    def back(dy: Array) -> tuple[Array, Array, Array]:
        dx, dkernel = np.zeros_like(padded), np.zeros_like(kernel)
        for i, j, part in places:
            dx[part] += dy @ kernel[i, j].T
            dkernel[i, j] = np.tensordot(padded[part], dy, axes=([0, 1, 2], [0, 1, 2]))
        inner = np.s_[:, edge : edge + x.shape[1], edge : edge + x.shape[2]]
        return dx[inner], dkernel, dy.sum(axis=(0, 1, 2))

    return y, back


def relu(x: Array) -> tuple[Array, Back]:
    """What is above 0; back: of x."""
    return np.maximum(x, 0), lambda dy: (dy * (x > 0),)


def max_pool(x: Array, size: int) -> tuple[Array, Back]:
    """x [N, H, W, C] -> [N, H // size, W // size, C], the largest of each window; back: of x."""
    n, height, width, channels = x.shape
    rows, columns = height // size, width // size
    windows = x[:, : rows * size, : columns * size].reshape(n, rows, size, columns, size, channels)
    windows = windows.transpose(0, 1, 3, 5, 2, 4).reshape(n, rows, columns, channels, size * size)
    largest = windows.argmax(axis=-1)[..., None]

    def back(dy: Array) -> tuple[Array]:
        dwindows, dx = np.zeros_like(windows), np.zeros_like(x)
        np.put_along_axis(dwindows, largest, dy[..., None], axis=-1)
        dwindows = dwindows.reshape(n, rows, columns, channels, size, size).transpose(0, 1, 4, 2, 5, 3)
        dx[:, : rows * size, : columns * size] = dwindows.reshape(n, rows * size, columns * size, channels)
        return (dx,)

    return np.take_along_axis(windows, largest, axis=-1)[..., 0], back


def flatten(x: Array) -> tuple[Array, Back]:
    """Maps [N, H, W, C] -> [N, F], in the order height, width, channel; back: of x."""
    return x.reshape(len(x), -1), lambda dy: (dy.reshape(x.shape),)


def dense(x: Array, kernel: Array, bias: Array) -> tuple[Array, Back]:
    """x [N, in] -> [N, out]; back: of x, kernel and bias."""
    return x @ kernel + bias, lambda dy: (dy @ kernel.T, x.T @ dy, dy.sum(axis=0))


def cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    """The mean loss of logits [N, K] and labels [N], and its gradient [N, K]."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    each = np.arange(len(labels))
    gradient = np.exp(logs)
    gradient[each, labels] -= 1
    return float(-logs[each, labels].mean()), gradient / len(labels)
