"""Dropout, state and repeatability, as this backend keeps them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.conformance.networks import NETWORKS, assert_same_bytes, random_batches, snapshot, spec_of
from recurra.errors import InputError

pytestmark = pytest.mark.torch


@settings(deadline=None)  # the first example imports PyTorch
@given(seed=st.integers(0, 2**32 - 1), step=st.integers(0, 10**9), rate=st.floats(0.01, 0.95))
def test_dropout_factors_are_a_function_of_seed_and_step_that_keeps_the_mean(seed, step, rate) -> None:
    import torch

    from recurra_torch.dropout import Dropout

    dropout = Dropout(rate, seed, torch.device("cpu"))
    factors = dropout.factors(step, (200, 50))
    dropout.factors(step + 1, (3, 3))
    again = Dropout(rate, seed, torch.device("cpu")).factors(step, (200, 50))
    assert factors is not None
    assert torch.equal(factors, again)
    assert all(value in (0.0, pytest.approx(1 / (1 - rate))) for value in factors.unique().tolist())
    assert abs((factors > 0).double().mean().item() - (1 - rate)) < 0.04


def test_dropout_differs_from_step_to_step_and_seed_to_seed() -> None:
    import torch

    from recurra_torch.dropout import Dropout

    def drawn(seed: int, step: int) -> bytes:
        factors = Dropout(0.5, seed, torch.device("cpu")).factors(step, (64,))
        return factors.numpy().tobytes()

    assert len({drawn(seed, step) for seed in range(8) for step in range(8)}) == 64


RUN = """
import sys, hashlib
from recurra.conformance.networks import random_batches, snapshot, spec_of
from recurra.registry import load_backend
from recurra.weights import initial_weights
spec = spec_of(sys.argv[1], dropout=0.3, clip_norm=1.0, precision=sys.argv[2])
classifier = load_backend("torch").build(spec, "cpu", 3)
classifier.load_weights(initial_weights(spec, 3))
classifier.train_steps(random_batches(spec, 4))
print(hashlib.sha256(b"".join(a.tobytes() for a in snapshot(classifier).values())).hexdigest())
"""


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_two_processes_train_to_the_same_bytes(precision) -> None:
    def digest() -> str:
        command = [sys.executable, "-c", RUN, "fusion-lstm-image", precision]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    first = digest()
    assert len(first) == 65
    assert first == digest()


@pytest.mark.parametrize("network", ["cnn-clip", "rnn-gru-deep", "fusion-lstm-image", "fusion-gru-image"])
def test_a_bf16_training_with_everything_on_resumes_in_the_same_bytes(build, network) -> None:
    spec = spec_of(network, precision="bf16", dropout=0.4, clip_norm=0.5, weight_decay=0.01)
    undisturbed, resumed = build(spec), build(spec)
    undisturbed.train_steps(random_batches(spec, 3))
    resumed.load_weights(undisturbed.weights())
    resumed.load_training_state(undisturbed.training_state())
    tail = random_batches(spec, 2, first_step=3)
    undisturbed.train_steps(tail)
    resumed.train_steps(tail)
    assert_same_bytes(snapshot(undisturbed), snapshot(resumed))


@pytest.mark.parametrize("network", NETWORKS)
def test_a_training_state_comes_back_as_it_was_loaded(build, network) -> None:
    spec = spec_of(network)
    classifier, draw = build(spec), np.random.default_rng(1)
    state = {name: draw.random(a.shape).astype(a.dtype) for name, a in classifier.training_state().items()}
    state["adam.step"] = np.array(41, np.int64)
    classifier.load_training_state({**state, "backend.other": np.zeros(3)})
    assert_same_bytes(classifier.training_state(), state)


def test_read_only_and_strided_arrays_are_taken_without_a_warning(build) -> None:
    spec = spec_of("fusion-lstm-clip")
    classifier, batches = build(spec), random_batches(spec, 2)
    given, strided = batches.x[0].copy(), np.repeat(batches.x[0], 2, axis=0)[::2]
    given.flags.writeable = False
    np.testing.assert_array_equal(classifier.logits(given), classifier.logits(strided))
    weights = {name: np.asfortranarray(array) for name, array in classifier.weights().items()}
    for array in weights.values():
        array.flags.writeable = False
    classifier.load_weights(weights)
    assert_same_bytes(classifier.weights(), {name: np.ascontiguousarray(a) for name, a in weights.items()})


def test_training_leaves_the_batches_as_they_were(build) -> None:
    spec = spec_of("cnn-image", dropout=0.5)
    batches = random_batches(spec, 2)
    before = batches.x.tobytes(), batches.y.tobytes()
    build(spec).train_steps(batches)
    assert (batches.x.tobytes(), batches.y.tobytes()) == before


def test_a_state_that_lacks_something_is_refused_by_its_name(build) -> None:
    spec = spec_of("cnn-image")
    classifier = build(spec)
    state = classifier.training_state()
    for name in ("adam.step", "adam.v.output.bias"):
        with pytest.raises(InputError, match=name.removeprefix("adam.v.")):
            classifier.load_training_state({k: a for k, a in state.items() if k != name})


def test_weights_of_another_network_are_refused(build) -> None:
    spec = spec_of("cnn-image")
    wider = replace(spec, classes=5)
    with pytest.raises(InputError, match=r"output\.kernel"):
        build(spec).load_weights(build(wider).weights())
