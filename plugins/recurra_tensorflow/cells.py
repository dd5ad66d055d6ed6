"""LSTM and GRU over all steps of a layer, with gradients by hand (the equations stand in `recurra.weights`).

TensorFlow's own gradient of a loop keeps every intermediate of every step and adds up the recurrent kernel's gradient
step by step. Here a step keeps its gates, and the kernel's gradient is one product over all steps together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from recurra_tensorflow.framework import tf
from recurra_tensorflow.precision import Precision
from recurra_tensorflow.scan import Tensors, scan

Layer = Callable[..., tf.Tensor]


def _sigmoid_gradient(y: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.SigmoidGrad(y=y, dy=dy)


def _tanh_gradient(y: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.TanhGrad(y=y, dy=dy)


def _zeros(inputs: tf.Tensor, units: int) -> tf.Tensor:
    return tf.zeros([tf.shape(inputs)[1], units])


def _before(states: tf.Tensor, reverse: bool) -> tf.Tensor:
    """The state that each step started from: states [T, B, U], moved by one step, zero at the beginning."""
    if reverse:
        return tf.pad(states[1:], [[0, 1], [0, 0], [0, 0]])
    return tf.pad(states[:-1], [[1, 0], [0, 0], [0, 0]])


def _kernel_gradient(precision: Precision, before: tf.Tensor, products: tf.Tensor) -> tf.Tensor:
    """sum over t of h_{t-1}^T dz_t: [T, B, U] and [T, B, G] -> [U, G]."""
    rows = [tf.reshape(a, [-1, a.shape[2]]) for a in (before, products)]
    return precision.matmul(*rows, transpose_a=True)


def lstm(units: int, precision: Precision, reverse: bool) -> Layer:
    """A layer, from x_t kernel + bias [T, B, 4U] and the recurrent kernel [U, 4U] to h_t [T, B, U]."""

    each = tf.TensorSpec([None, units])

    @tf.custom_gradient
    def layer(inputs: tf.Tensor, kernel: tf.Tensor) -> Any:
        factor = precision.cast(kernel)

        def forward(carry: Tensors, slices: Tensors) -> tuple[Tensors, Tensors]:
            (h, c), (x,) = carry, slices
            i, f, g, o = tf.split(x + precision.matmul(h, factor), 4, axis=1)
            i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
            c = f * c + i * g
            squashed = tf.tanh(c)
            h = o * squashed
            return (h, c), (h, c, i, f, g, o, squashed)

        start = _zeros(inputs, units)
        _, (hidden, cells, *gates) = scan(forward, (start, start), (inputs,), [each] * 7, reverse)

        def backward(carry: Tensors, slices: Tensors) -> tuple[Tensors, Tensors]:
            (dh, dc), (upstream, c, i, f, g, o, squashed) = carry, slices
            dh = dh + upstream
            dc = dc + _tanh_gradient(squashed, dh * o)
            di, df = _sigmoid_gradient(i, dc * g), _sigmoid_gradient(f, dc * c)
            dg, do = _tanh_gradient(g, dc * i), _sigmoid_gradient(o, dh * squashed)
            dz = tf.concat([di, df, dg, do], axis=1)
            return (precision.matmul(dz, factor, transpose_b=True), dc * f), (dz,)

        def gradient(upstream: tf.Tensor) -> Tensors:
            kept = (upstream, _before(cells, reverse), *gates)
            _, (dz,) = scan(backward, (start, start), kept, [tf.TensorSpec([None, 4 * units])], not reverse)
            return dz, _kernel_gradient(precision, _before(hidden, reverse), dz)

        return hidden, gradient

    return layer


def gru(units: int, precision: Precision, reverse: bool) -> Layer:
    """A layer, from x_t kernel + bias [T, B, 3U], the recurrent kernel [U, 3U] and bias [U] to h_t [T, B, U]."""

    each = tf.TensorSpec([None, units])

    @tf.custom_gradient
    def layer(inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> Any:
        factor = precision.cast(kernel)

        def forward(carry: Tensors, slices: Tensors) -> tuple[Tensors, Tensors]:
            (h,), (x,) = carry, slices
            xr, xz, xn = tf.split(x, 3, axis=1)
            hr, hz, hn = tf.split(precision.matmul(h, factor), 3, axis=1)
            r, z, hn = tf.sigmoid(xr + hr), tf.sigmoid(xz + hz), hn + bias
            n = tf.tanh(xn + r * hn)
            h = n + z * (h - n)
            return (h,), (h, r, z, n, hn)

        start = _zeros(inputs, units)
        _, (hidden, *gates) = scan(forward, (start,), (inputs,), [each] * 5, reverse)

        def backward(carry: Tensors, slices: Tensors) -> tuple[Tensors, Tensors]:
            (dh,), (upstream, h, r, z, n, hn) = carry, slices
            dh = dh + upstream
            dz = _sigmoid_gradient(z, dh * (h - n))
            dn = _tanh_gradient(n, dh - dh * z)
            dr = _sigmoid_gradient(r, dn * hn)
            dhn = dn * r
            products = tf.concat([dr, dz, dhn], axis=1)
            return (dh * z + precision.matmul(products, factor, transpose_b=True),), (products, dn)

        def gradient(upstream: tf.Tensor) -> Tensors:
            before = _before(hidden, reverse)
            specs = [tf.TensorSpec([None, 3 * units]), each]
            _, (products, dn) = scan(backward, (start,), (upstream, before, *gates), specs, not reverse)
            inputs_gradient = tf.concat([products[:, :, : 2 * units], dn], axis=2)
            bias_gradient = tf.reduce_sum(products[:, :, 2 * units :], axis=[0, 1])
            return inputs_gradient, _kernel_gradient(precision, before, products), bias_gradient

        return hidden, gradient

    return layer


CELLS = {"lstm": lstm, "gru": gru}
