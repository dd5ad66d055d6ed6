"""Data-parallel training on logical CPU devices: as on one device, exact to resume, plain about what cannot be."""

import gc
import subprocess
import sys
import weakref
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest

from recurra.conformance.networks import assert_same_bytes, random_batches, snapshot, spec_of
from recurra.conformance.parallel import ParallelSuite, assert_near
from recurra.contract import Classifier, ClassifierSpec
from recurra.errors import InputError
from recurra.registry import load_backend
from recurra.weights import initial_weights

pytestmark = pytest.mark.tensorflow

EVERYTHING = {"dropout": 0.3, "clip_norm": 0.5, "weight_decay": 0.01}


class TestTensorflow(ParallelSuite):
    name = "tensorflow"


def build(spec: ClassifierSpec, devices: int, seed: int = 3) -> Classifier:
    backend = load_backend("tensorflow")
    asked = ["cpu"] * devices
    classifier = backend.build_parallel(spec, asked, seed) if devices > 1 else backend.build(spec, "cpu", seed)
    classifier.load_weights(initial_weights(spec, 0))
    return classifier


@pytest.mark.parametrize("network", ["cnn-image", "rnn-lstm-image", "fusion-gru-clip"])
def test_ten_steps_are_those_of_one_device_dropout_and_all(network) -> None:
    spec = spec_of(network, **EVERYTHING)
    shared, single, batches = build(spec, 2), build(spec, 1), random_batches(spec, 10, 8)
    found, expected = shared.train_steps(batches), single.train_steps(batches)
    # The same masks, and the same float32 numbers added up in another order.
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
    assert found.correct.tolist() == expected.correct.tolist()
    assert_near(snapshot(shared), snapshot(single))


def test_a_sample_alone_trains_three_devices_as_it_trains_one() -> None:
    spec = spec_of("cnn-image", dropout=0.5)
    shared, single, batches = build(spec, 3), build(spec, 1), random_batches(spec, 4, 1)
    # Nothing comes from the two that have none, so that even the bytes agree.
    assert_same_bytes(*(vars(classifier.train_steps(batches)) for classifier in (shared, single)))
    assert_same_bytes(snapshot(shared), snapshot(single))


def test_replicas_stay_equal_to_the_byte() -> None:
    spec = spec_of("rnn-gru-clip", **EVERYTHING)
    shared = build(spec, 3)
    shared.train_steps(random_batches(spec, 5, 7))
    for variable in [*shared._variables.all(), shared._adam.step]:
        first, *others = (copy.numpy() for copy in shared._strategy.experimental_local_results(variable))
        assert [other.tobytes() for other in others] == [first.tobytes()] * 2


def test_parts_follow_each_other_and_none_is_without_a_sample() -> None:
    from recurra_tensorflow.replicas import divided, shards, strategy_of

    for batch in range(1, 9):
        for count in (1, 2, 3):
            devices = tuple(f"/device:CPU:{number}" for number in range(count))
            rows = np.arange(batch)[np.newaxis]
            parts = divided(rows.astype(np.float32), rows, devices)
            labels = [part.numpy()[0].tolist() for part in parts[1]]
            assert [*chain.from_iterable(labels)] == list(range(batch))
            assert max(map(len, labels)) - min(map(len, labels)) <= 1
            strategy = strategy_of(devices)
            own = shards(strategy, *parts)
            firsts = [int(first) for first in strategy.experimental_local_results(own.first)]
            assert [int(part.numpy()[0, 0]) for part in parts[0]] == firsts


def test_a_resumed_training_goes_on_byte_for_byte() -> None:
    spec = spec_of("fusion-lstm-clip", **EVERYTHING)
    undisturbed, resumed = build(spec, 2), build(spec, 2)
    undisturbed.train_steps(random_batches(spec, 3, 7))
    undisturbed.train_steps(random_batches(spec, 1, 1, first_step=3))
    resumed.load_weights(undisturbed.weights())
    resumed.load_training_state(undisturbed.training_state())
    tail = random_batches(spec, 3, 7, first_step=4)
    assert_same_bytes(*(vars(classifier.train_steps(tail)) for classifier in (undisturbed, resumed)))
    assert_same_bytes(snapshot(undisturbed), snapshot(resumed))


def test_steps_are_the_same_at_once_or_one_by_one_and_take_one_graph() -> None:
    spec = spec_of("rnn-gru-clip", **EVERYTHING)
    together, apart, batches = build(spec, 2), build(spec, 2), random_batches(spec, 4, 5)
    losses = []
    for s in range(4):
        one = replace(batches, x=batches.x[s:][:1], y=batches.y[s:][:1], learning_rates=batches.learning_rates[s:][:1])
        losses += apart.train_steps(replace(one, first_step=s)).loss.tolist()
    assert together.train_steps(batches).loss.tolist() == losses
    assert_same_bytes(snapshot(together), snapshot(apart))
    for size in (5, 2, 1):
        apart.train_steps(random_batches(spec, 1, size))
    assert apart._graph_steps.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("devices", [1, 2])
def test_a_classifier_that_is_dropped_is_gone(devices) -> None:
    spec = spec_of("cnn-image")
    classifier = build(spec, devices)
    classifier.train_steps(random_batches(spec, 1))
    held = weakref.ref(classifier._variables)
    del classifier
    gc.collect()
    assert held() is None


@pytest.mark.parametrize(
    ("devices", "line"),
    [
        ([], "^devices: none; name GPUs"),
        (["cpu", "gpu:77"], "no 'gpu:77' here, only .*cpu"),
        (["cpu", "gpu:0"], "not both$"),
        (["gpu:0", "gpu:0"], "a GPU can be named once$"),
    ],
)
def test_devices_that_cannot_train_together_are_refused(devices, line, monkeypatch) -> None:
    if "gpu:0" in devices:
        monkeypatch.setattr("recurra_tensorflow.devices.device_string", lambda name: f"/device:{name}")
    with pytest.raises(InputError, match=line):
        load_backend("tensorflow").build_parallel(spec_of("cnn-image"), devices, 0)


RUN = """
import sys
from recurra.conformance.networks import random_batches, spec_of
from recurra.errors import InputError
from recurra.registry import load_backend
spec, backend = spec_of("cnn-image"), load_backend("tensorflow")
try:
    for devices in map(int, sys.argv[1:]):
        shared = devices > 1
        classifier = backend.build_parallel(spec, ["cpu"] * devices, 0) if shared else backend.build(spec, "cpu", 0)
        print(len(classifier.train_steps(random_batches(spec, 2)).loss))
except InputError as error:
    print(error)
"""


def test_a_new_process_makes_the_devices_and_one_that_computed_says_that_it_cannot() -> None:
    fine, late = (
        subprocess.run([sys.executable, "-c", RUN, *counts], capture_output=True, text=True)
        for counts in (["2", "1", "2"], ["1", "2"])
    )
    assert (fine.stdout, fine.stderr) == ("2\n2\n2\n", "")
    assert late.stdout.split("\n", 1)[1] == (
        "devices: cpu, cpu; TensorFlow already computes with 1 CPU device in this process, and cannot make more;"
        " train in a new process, and build for several devices there before anything else\n"
    )
