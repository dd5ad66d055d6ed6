"""The compiled loop over steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
from recurra.conformance.networks import assert_same_bytes, random_batches, snapshot, spec_of
from recurra.conformance.small_gans import gan_spec_of, random_gan_batches, random_gan_weights
from recurra.contract import Batches, GanBackend
from recurra.registry import load_backend
from recurra.weights import initial_weights

from recurra_jax import classifier, gan
from recurra_jax.framework import jax
from recurra_jax.rooms import Rooms


def part(batches: Batches, start: int, stop: int) -> Batches:
    """Some of the steps."""
    arrays = {n: a[start:stop] for n, a in vars(batches).items() if isinstance(a, np.ndarray)}
    return replace(batches, **arrays, first_step=batches.first_step + start)


def test_the_last_steps_of_an_epoch_go_through_the_loop_that_is_there_and_end_in_the_same_bytes() -> None:
    """Five steps as 3 and 2, where the second call finds room for three, and as 2 and 3."""
    spec, ends = spec_of("rnn-lstm-image", dropout=0.3), []
    batches = random_batches(spec, 5)
    for middle in (3, 2):
        network = load_backend("jax").build(spec, "cpu", 0)
        network.load_weights(initial_weights(spec, 0))
        records = [network.train_steps(part(batches, *ends_)) for ends_ in ((0, middle), (middle, 5))]
        assert [len(each.loss) for each in records] == [middle, 5 - middle]
        ends.append(snapshot(network))
    assert_same_bytes(*ends)


def of_a_classifier() -> dict[str, np.ndarray]:
    """Weights and state after 3 steps and 2."""
    spec = spec_of("fusion-lstm-image", dropout=0.3)
    network, batches = load_backend("jax").build(spec, "cpu", 0), random_batches(spec, 5)
    network.load_weights(initial_weights(spec, 0))
    losses = [network.train_steps(part(batches, *ends)).loss for ends in ((0, 3), (3, 5))]
    return {**snapshot(network), "losses": np.concatenate(losses)}


def of_a_gan() -> dict[str, np.ndarray]:
    """The same of a GAN."""
    spec, backend = gan_spec_of("image"), load_backend("jax")
    assert isinstance(backend, GanBackend)
    network = backend.build_gan(spec, "cpu")
    network.load_weights(random_gan_weights(spec))
    losses = [network.train_steps(random_gan_batches(spec, n, first_step=f)).penalty for f, n in ((0, 3), (3, 2))]
    return {**snapshot(network), "losses": np.concatenate(losses)}


@pytest.mark.parametrize(("trained", "module"), [(of_a_classifier, classifier), (of_a_gan, gan)])
def test_the_loop_of_a_gpu_ends_in_the_same_bytes(
    trained: Callable[[], dict[str, np.ndarray]], module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole calls in a loop of a fixed length, then fewer steps: here on the CPU."""
    expected = trained()
    monkeypatch.setattr(module, "waits", lambda device: True)
    monkeypatch.setattr(module, "ROOMS", Rooms())
    assert_same_bytes(trained(), expected)


def test_an_interruption_while_records_are_waited_for_finds_the_steps_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(arrays: object) -> object:
        raise KeyboardInterrupt

    spec = spec_of("rnn-lstm-image")
    network = load_backend("jax").build(spec, "cpu", 0)
    with monkeypatch.context() as patched:
        patched.setattr(jax, "device_get", interrupted)
        with pytest.raises(KeyboardInterrupt):
            network.train_steps(random_batches(spec, 3))
    state = network.training_state()
    assert (int(state["adam.step"]), bool(np.any(state["adam.m.output.bias"]))) == (3, True)


def test_weights_that_were_loaded_are_a_copy() -> None:
    """Neither a change of the arrays given nor a training shows in the other."""
    spec = spec_of("rnn-lstm-image")
    network, given = load_backend("jax").build(spec, "cpu", 0), initial_weights(spec, 0)
    kept = {name: array.copy() for name, array in given.items()}
    network.load_weights(given)
    network.train_steps(random_batches(spec, 1))
    assert_same_bytes(given, kept)
    network.load_weights(given)
    given["output.bias"][...] = 7
    assert_same_bytes(network.weights(), kept)


def test_no_samples_have_no_logits() -> None:
    spec = spec_of("fusion-lstm-clip")
    network = load_backend("jax").build(spec, "cpu", 0)
    assert network.logits(np.zeros((0, *spec.sample.array), np.float32)).shape == (0, spec.classes)
