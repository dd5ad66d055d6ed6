"""The gradients written by hand are those that TensorFlow derives from the same equations."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


def derived_lstm(tf, inputs, kernel):
    h = c = tf.zeros([inputs.shape[1], kernel.shape[0]])
    hidden = []
    for x in inputs:
        i, f, g, o = tf.split(x + h @ kernel, 4, axis=1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        h = tf.sigmoid(o) * tf.tanh(c)
        hidden.append(h)
    return tf.stack(hidden)


def derived_gru(tf, inputs, kernel, bias):
    h = tf.zeros([inputs.shape[1], kernel.shape[0]])
    hidden = []
    for x in inputs:
        (xr, xz, xn), (hr, hz, hn) = tf.split(x, 3, axis=1), tf.split(h @ kernel, 3, axis=1)
        r, z = tf.sigmoid(xr + hr), tf.sigmoid(xz + hz)
        h = (1 - z) * tf.tanh(xn + r * (hn + bias)) + z * h
        hidden.append(h)
    return tf.stack(hidden)


@pytest.mark.parametrize("steps", [1, 6, 70], ids=["one step", "unrolled", "looped"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gradients_by_hand_are_the_derived_ones(cell, reverse, steps) -> None:
    from recurra_tensorflow.cells import CELLS
    from recurra_tensorflow.framework import tf
    from recurra_tensorflow.precision import Precision

    derived, gates = {"lstm": (derived_lstm, 4), "gru": (derived_gru, 3)}[cell]
    generator = np.random.default_rng(steps)
    shapes = [(steps, 3, gates * 5), (5, gates * 5), (5,)][: 2 if cell == "lstm" else 3]
    values = [tf.constant(generator.normal(0, 0.5, shape), tf.float32) for shape in shapes]
    upstream = tf.constant(generator.normal(size=(steps, 3, 5)), tf.float32)

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        layer = tf.function(CELLS[cell](5, Precision.of("fp32"), reverse))
        found = layer(*values)
        expected = derived(tf, tf.reverse(values[0], [0]) if reverse else values[0], *values[1:])
        expected = tf.reverse(expected, [0]) if reverse else expected
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    pairs = zip(tape.gradient(found, values, upstream), tape.gradient(expected, values, upstream), strict=True)
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
