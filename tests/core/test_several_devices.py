"""Which devices a training is given, and what is said where they are not there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from recurra.capabilities import able_backend
from recurra.classifiers import alone, build, in_words, resolve_devices, spec_for
from recurra.config import validate
from recurra.contract import SampleShape
from recurra.errors import InputError
from recurra.experiment import Experiment
from recurra.weights import initial_weights

CPU, ONE, THREE = ("cpu",), ("gpu:0", "cpu"), ("gpu:0", "gpu:1", "gpu:2", "cpu")


def backend_of(*names: str, **more: Any) -> Any:
    """A backend that sees these devices."""
    return SimpleNamespace(name="small", devices=lambda: [SimpleNamespace(name=name) for name in names], **more)


@pytest.mark.parametrize(("seen", "wanted", "count", "found"), [
    (THREE, "auto", 1, ("gpu:0",)), (THREE, "gpu:2", 1, ("gpu:2",)), (THREE, "auto", 2, ("gpu:0", "gpu:1")),
    (THREE, "gpu", 3, ("gpu:0", "gpu:1", "gpu:2")), (THREE, "cpu", 2, ("cpu", "cpu")), (CPU, "auto", 2, ("cpu", "cpu")),
])  # fmt: skip
def test_the_first_gpus_are_taken_or_the_cpu_so_many_times(seen, wanted, count, found) -> None:
    assert resolve_devices(backend_of(*seen), wanted, count) == found


@pytest.mark.parametrize(("seen", "wanted", "line"), [
    (ONE, "auto", "train.devices: 2 GPUs are not there; backend 'small' sees gpu:0, cpu"),
    (CPU, "gpu", "train.devices: 2 GPUs are not there; backend 'small' sees cpu"),
    (THREE, "gpu:1", "device: gpu:1 is one device, and train.devices is 2; write device: gpu"),
])  # fmt: skip
def test_devices_that_are_not_there_are_refused_with_those_that_are(seen, wanted, line) -> None:
    with pytest.raises(InputError) as caught:
        resolve_devices(backend_of(*seen), wanted, 2)
    assert str(caught.value) == line


def test_devices_are_told_in_words() -> None:
    assert [in_words(names) for names in (("cpu",), ("gpu:0", "gpu:1"), ("cpu",) * 3)] == [
        "cpu", "gpu:0, gpu:1", "3 x cpu",
    ]  # fmt: skip


def asked(devices: int) -> Experiment:
    model = {"kind": "cnn", "cnn": {"channels": [2]}}
    values = {"name": "x", "data": {"source": "x"}, "model": model, "train": {"devices": devices}}
    return validate(values, "test")


def test_a_backend_without_data_parallel_is_told_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    small = backend_of("cpu", capabilities=frozenset({"cnn", "gan"}))
    monkeypatch.setattr("recurra.capabilities.load_backend", lambda _: small)
    able_backend(asked(1))
    with pytest.raises(InputError, match=r"^train\.devices: 2, and backend 'small' has no data-parallel; it has cnn"):
        able_backend(asked(2))
    of_gan = {"evaluate": {"gan": {"recogniser": {"model": {"kind": "cnn"}, "train": {"devices": 2}}}}}
    gan = validate({"name": "x", "data": {"source": "x"}, "model": {"kind": "gan"}, **of_gan}, "test")
    with pytest.raises(InputError, match=r"^evaluate\.gan\.recogniser\.train\.devices: 2, and backend"):
        able_backend(gan)


def test_a_training_is_built_on_all_devices_and_an_evaluation_on_one(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    network = SimpleNamespace(load_weights=lambda _: None)
    small = backend_of(
        *THREE,
        capabilities=frozenset({"cnn", "data-parallel"}),
        contract=(1, 1),
        describe=dict,
        build=lambda spec, device, seed: calls.append(device) or network,
        build_parallel=lambda spec, devices, seed: calls.append(devices) or network,
    )
    monkeypatch.setattr("recurra.capabilities.load_backend", lambda _: small)
    sample = SampleShape("image", 1, 6, 6, 1)
    weights = initial_weights(spec_for(asked(2), sample, 3), 0)
    shared = build(asked(2), sample, 3, weights, "the test")
    single = build(alone(asked(2)), sample, 3, weights, "the test")
    assert calls == [("gpu:0", "gpu:1"), "gpu:0"]
    assert (shared.device, single.device) == ("gpu:0, gpu:1", "gpu:0")
