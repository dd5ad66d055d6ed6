"""The optimiser is the one that `recurra.optimiser` writes down."""

import numpy as np
import pytest

from recurra.weights import is_kernel

pytestmark = pytest.mark.tensorflow


def numpy_adam(w, m, v, g, t, rate, train):
    if train.clip_norm is not None:
        norm = np.sqrt(sum((x**2).sum() for x in g.values()))
        g = {name: x * min(1, train.clip_norm / (norm + 1e-6)) for name, x in g.items()}
    for name, x in g.items():
        if is_kernel(name):
            w[name] = w[name] - rate * train.weight_decay * w[name]
        m[name] = 0.9 * m[name] + 0.1 * x
        v[name] = 0.999 * v[name] + 0.001 * x**2
        w[name] = w[name] - rate * (m[name] / (1 - 0.9**t)) / (np.sqrt(v[name] / (1 - 0.999**t)) + 1e-8)


@pytest.mark.parametrize("settings", [{}, {"weight_decay": 0.1}, {"clip_norm": 0.01, "weight_decay": 0.01}])
def test_steps_are_those_of_the_documented_adam(settings, spec) -> None:
    from recurra_tensorflow.adam import Adam
    from recurra_tensorflow.framework import tf
    from recurra_tensorflow.weights import Variables

    s = spec("fusion", rnn={"cell": "gru"}, **settings)
    variables = Variables(s, "weights")
    generator = np.random.default_rng(1)
    w = {name: generator.normal(size=a.shape).astype(np.float32) for name, a in variables.arrays().items()}
    variables.load(w)
    adam, gradients = Adam(s, variables), Variables(s, "gradients")
    apply = tf.function(adam.apply)
    w = {name: a.astype(np.float64) for name, a in w.items()}
    m, v = ({name: np.zeros_like(a) for name, a in w.items()} for _ in "mv")
    for t in range(1, 8):
        # Small enough for epsilon to matter.
        g = {name: generator.normal(0, 1e-7, a.shape).astype(np.float32) for name, a in w.items()}
        gradients.load(g)
        apply([tf.identity(x) for x in gradients.all()], tf.constant(0.01 * t))
        numpy_adam(w, m, v, {name: x.astype(np.float64) for name, x in g.items()}, t, np.float32(0.01 * t), s.train)
    state = adam.state()
    assert state["adam.step"] == 7
    for name, found in variables.arrays().items():
        np.testing.assert_allclose(found, w[name], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(state[f"adam.m.{name}"], m[name], rtol=1e-4, atol=1e-13)
        np.testing.assert_allclose(state[f"adam.v.{name}"], v[name], rtol=1e-4, atol=1e-20)


def test_weight_decay_leaves_biases_alone(spec, build, batches) -> None:
    plain, decayed = (spec("cnn", weight_decay=decay) for decay in (0.0, 1.0))
    after = []
    for s in (plain, decayed):
        classifier = build(s)
        classifier.train_steps(batches(s, 1))
        after.append(classifier.weights())
    for name in after[0]:
        assert np.array_equal(after[0][name], after[1][name]) != is_kernel(name)
