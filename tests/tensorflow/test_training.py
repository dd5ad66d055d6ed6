"""Training: what a step records, that it goes on exactly where it stopped, and that it is the same each time."""

import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


@pytest.mark.parametrize("sample", ["image", "clip"])
@pytest.mark.parametrize("kind", ["cnn", "rnn", "fusion"])
def test_a_resumed_classifier_goes_on_byte_for_byte(kind, sample, spec, build, batches) -> None:
    s = spec(kind, sample, dropout=0.5, weight_decay=0.01, clip_norm=1.0)
    whole, first, second = build(s), build(s), build(s)
    whole.train_steps(batches(s, 7))
    first.train_steps(batches(s, 3))
    second.load_weights(first.weights())
    second.load_training_state(first.training_state())
    second.train_steps(batches(s, 4, first=3))
    assert same(whole.weights(), second.weights())
    assert same(whole.training_state(), second.training_state())


def test_a_step_records_the_loss_and_the_hits_before_its_update(spec, build, batches) -> None:
    s = spec("fusion")
    classifier, b = build(s), batches(s, 1)
    logits = classifier.logits(b.x[0]).astype(np.float64)
    likelihood = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    records = classifier.train_steps(b)
    np.testing.assert_allclose(records.loss, [-likelihood[np.arange(8), b.y[0]].mean()], rtol=1e-5)
    assert records.correct.tolist() == [(logits.argmax(axis=1) == b.y[0]).sum()]
    assert (records.loss.dtype, records.correct.dtype) == (np.float32, np.int64)


def test_gradients_are_those_of_finite_differences(spec, build, batches) -> None:
    s = spec("fusion", "clip", rnn={"bidirectional": True, "layers": 2})
    classifier, b = build(s), batches(s, 1)
    start = classifier.weights()
    classifier.train_steps(b)
    # The first moment after one step is a tenth of the gradient.
    gradient = {name: 10 * classifier.training_state()[f"adam.m.{name}"] for name in start}
    generator, step = np.random.default_rng(0), 0.002
    direction = {name: generator.normal(size=w.shape) for name, w in start.items()}

    def loss(along: float) -> float:
        classifier.load_weights({n: (w + along * direction[n]).astype(np.float32) for n, w in start.items()})
        return float(classifier.train_steps(b).loss[0])

    expected = sum((gradient[name] * direction[name]).sum() for name in start)
    assert (loss(step) - loss(-step)) / (2 * step) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", ["cnn", "rnn", "fusion"])
def test_training_lowers_the_loss_of_samples_seen_again(kind, precision, spec, build, batches) -> None:
    s = spec(kind, precision=precision)
    classifier, b = build(s), batches(s, 2)
    losses = [classifier.train_steps(b).loss.mean() for _ in range(40)]
    assert losses[-1] < 0.9 * losses[0]


def test_looking_leaves_the_training_as_it_was(spec, build, batches) -> None:
    s = spec("rnn", dropout=0.3)
    looked, left = build(s), build(s)
    looked.train_steps(batches(s, 2))
    assert np.array_equal(looked.logits(batches(s, 1).x[0]), looked.logits(batches(s, 1).x[0]))
    looked.features(batches(s, 1).x[0])
    looked.train_steps(batches(s, 2, first=2))
    left.train_steps(batches(s, 4))
    assert same(looked.training_state(), left.training_state())


def test_dropout_depends_on_the_seed_and_on_the_step(spec, build, batches) -> None:
    s, still = spec("cnn", dropout=0.5), np.zeros(3, np.float32)
    b = batches(s, 1)
    thrice = type(b)(np.repeat(b.x, 3, axis=0), np.repeat(b.y, 3, axis=0), still, 0)
    one, again, other = (build(s, seed).train_steps(thrice).loss for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert len({*one.tolist(), *other.tolist()}) == 6


def test_batches_of_another_size_take_the_same_graph(spec, build, batches) -> None:
    s = spec("fusion", "clip")
    classifier = build(s)
    for steps, size in ((3, 8), (1, 5), (2, 8), (1, 1)):
        assert classifier.train_steps(batches(s, steps, size=size)).loss.shape == (steps,)
    assert classifier._graph_steps.experimental_get_tracing_count() == 1


def test_what_is_handed_out_is_a_copy(spec, build, batches) -> None:
    s = spec("cnn")
    classifier = build(s)
    weights, state = classifier.weights(), classifier.training_state()
    kept = {name: w.copy() for name, w in (weights | state).items()}
    classifier.train_steps(batches(s, 2))
    assert same(weights | state, kept)
    for array in weights.values():
        array[...] = 0
    assert not same(classifier.weights(), weights)


RUN = """
import hashlib, numpy as np
from recurra.contract import Batches, ClassifierSpec, SampleShape
from recurra.experiment import Model, Train
from recurra.weights import initial_weights
from recurra_tensorflow.plugin import recurra_backend

spec = ClassifierSpec(Model(kind="fusion"), Train(dropout=0.2), SampleShape("image", 1, 28, 28, 1), 10)
classifier = recurra_backend().build(spec, "cpu", 5)
classifier.load_weights(initial_weights(spec, 5))
g = np.random.default_rng(0)
x, y = g.random((20, 32, 1, 28, 28, 1), np.float32), g.integers(0, 10, (20, 32))
classifier.train_steps(Batches(x, y, np.full(20, 1e-3, np.float32), 0))
print(hashlib.sha256(b"".join(w.tobytes() for w in classifier.weights().values())).hexdigest())
"""


def test_two_processes_train_the_same_bytes_and_write_nothing_else() -> None:
    runs = [subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True) for _ in "ab"]
    assert [run.stderr for run in runs] == ["", ""]
    assert runs[0].stdout == runs[1].stdout != ""
