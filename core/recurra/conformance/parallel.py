"""What data-parallel training promises: several devices take the steps of one, and every sample counts once.

Tolerances. On several devices the same float32 numbers are added up in another order, which changes a sum by some 1e-7
of its largest summand; over a batch and the steps of a recurrent network that came to 1e-6 of an array's largest
gradient (PyTorch), and GRADIENT allows ten times as much. A sample that is lost or counted twice, or a mean of means of
uneven parts, changes a gradient by a tenth and more. Adam makes steps of one size from gradients of any size, so a
weight whose gradient is rounding noise moves by a noisy sign: after steps most weights are compared, closely.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from recurra.conformance.checks import Suite, slow
from recurra.conformance.deviation import assert_close
from recurra.conformance.networks import NETWORKS, assert_same_bytes, random_batches, snapshot, spec_of
from recurra.conformance.training import TrainingSuite
from recurra.contract import Batches, Classifier, ClassifierSpec, ParallelBackend
from recurra.dataset import Dataset
from recurra.durable import read_json
from recurra.errors import InputError
from recurra.evaluation import trained
from recurra.preprocess import preprocess
from recurra.progress import Silent
from recurra.readers import open_source
from recurra.registry import load_backend
from recurra.training import train
from recurra.weights import initial_weights

SUBJECTS = {"cnn-image": 2, "rnn-lstm-deep": 3, "fusion-gru-clip": 3}
"""Network -> devices that share its training."""
GRADIENT = 1e-5
"""Largest difference of a gradient, as part of its array's largest."""
LOSS = 1e-5
"""Largest difference of a loss, as part of it."""


def start(classifier: Classifier, spec: ClassifierSpec) -> Classifier:
    """The classifier as it was built: devices can take seconds to start, so that it is built once."""
    classifier.load_weights(initial_weights(spec, 0))
    state = classifier.training_state()
    classifier.load_training_state({name: np.zeros_like(array) for name, array in state.items()})
    return classifier


def assert_near(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    """Of every array nearly all elements agree, closely."""
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert_close(name, found[name], array, 1e-3, 2e-5, but=0.02)


@dataclass(frozen=True)
class Subject:
    """The same network on several devices and on one."""

    spec: ClassifierSpec
    shared: Classifier
    single: Classifier
    devices: int

    def fresh(self) -> tuple[Classifier, Classifier]:
        """Both, before their first step."""
        return start(self.shared, self.spec), start(self.single, self.spec)


@slow
class ParallelSuite(Suite):
    """Subclass it in a test module and set `name`. Devices are the CPU, several times."""

    group = "devices"
    asks = ("data-parallel",)

    @classmethod
    def build(cls, spec: ClassifierSpec, devices: Sequence[str], seed: int = 0) -> Classifier:
        """A classifier on several devices, with the spec's first weights."""
        backend = load_backend(cls.name)
        assert isinstance(backend, ParallelBackend)
        classifier = backend.build_parallel(spec, devices, seed)
        classifier.load_weights(initial_weights(spec, 0))
        return classifier

    @classmethod
    def any_network(cls) -> str:
        """One of the networks, of a kind that the backend claims."""
        kind = cls.any_kind(*(NETWORKS[name][0].kind for name in SUBJECTS))
        return next(name for name in SUBJECTS if NETWORKS[name][0].kind == kind)

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _most_devices_first(cls) -> None:
        """As many devices as the suite wants, before anything computes: later may be too late for a framework."""
        if "data-parallel" in load_backend(cls.name).capabilities:
            cls.build(spec_of(cls.any_network()), ["cpu"] * max(SUBJECTS.values()))

    @pytest.fixture(scope="class", params=SUBJECTS)
    @classmethod
    def subject(cls, request: pytest.FixtureRequest) -> Subject:
        """Each of SUBJECTS, without clipping, which would hide a gradient's size."""
        cls.needs("data-parallel")
        cls.needs(NETWORKS[request.param][0].kind)
        spec, devices = spec_of(request.param), SUBJECTS[request.param]
        single = load_backend(cls.name).build(spec, "cpu", 0)
        return Subject(spec, cls.build(spec, ["cpu"] * devices), single, devices)

    def test_a_device_that_is_not_there_is_refused_by_name(self) -> None:
        """As of one device."""
        spec = spec_of(self.any_network())
        with pytest.raises(InputError, match="gpu:77"):
            self.build(spec, ["gpu:77", "gpu:78"])

    @pytest.mark.parametrize("batch", [1, 2, 3, 4, 5, 7, 12])
    def test_every_sample_counts_once_however_the_batch_is_divided(self, subject: Subject, batch: int) -> None:
        """Loss, hits and gradients of one step; batches that are uneven, and smaller than the number of devices."""
        shared, single = subject.fresh()
        batches = random_batches(subject.spec, 1, batch)
        found, expected = shared.train_steps(batches), single.train_steps(batches)
        assert (found.loss.shape, found.loss.dtype, found.correct.dtype) == ((1,), np.float32, np.int64)
        assert_close("loss", found.loss, expected.loss, LOSS, 0.0)
        assert found.correct.tolist() == expected.correct.tolist()
        states = shared.training_state(), single.training_state()
        for name in (name for name in states[1] if name.startswith("adam.m.")):
            largest = np.abs(states[1][name]).max()
            assert_close(name, states[0][name], states[1][name], 0.0, GRADIENT * largest + 1e-9)

    def test_steps_are_those_of_one_device(self, subject: Subject) -> None:
        """Eight steps, and a smaller last one: records, weights and states."""
        shared, single = subject.fresh()
        for batches in (random_batches(subject.spec, 8, 7), random_batches(subject.spec, 1, 2, first_step=8)):
            found, expected = shared.train_steps(batches), single.train_steps(batches)
            # A step's rounding is in all that follow it.
            assert_close("losses", found.loss, expected.loss, 100 * LOSS, 0.0)
        assert_near(snapshot(shared), snapshot(single))
        assert int(shared.training_state()["adam.step"]) == 9

    def test_decay_and_clipping_are_those_of_the_whole_batch(self) -> None:
        """The norm that is clipped is of the whole gradient: clipped parts would add up to another one."""
        spec = spec_of(self.any_network(), clip_norm=0.05, weight_decay=1.0)
        shared = self.build(spec, ["cpu"] * 2)
        single = start(load_backend(self.name).build(spec, "cpu", 0), spec)
        batches = random_batches(spec, 3, 5)
        found, expected = shared.train_steps(batches), single.train_steps(batches)
        assert_close("losses", found.loss, expected.loss, 100 * LOSS, 0.0)
        assert_near(snapshot(shared), snapshot(single))

    def test_weights_and_states_travel_to_one_device_and_back(self, subject: Subject) -> None:
        """Two steps on one device, two on several, two on one: as six on one."""
        shared, single = subject.fresh()
        parts = [random_batches(subject.spec, 2, 7, first_step=first) for first in (0, 2, 4)]
        losses = [single.train_steps(part).loss for part in parts]
        expected = snapshot(single)
        start(single, subject.spec).train_steps(parts[0])
        for part, loss, (here, there) in zip(parts[1:], losses[1:], ((single, shared), (shared, single)), strict=True):
            weights, state = here.weights(), here.training_state()
            there.load_weights(weights)
            there.load_training_state(state)
            assert_same_bytes(there.weights(), weights)
            assert_close("losses", there.train_steps(part).loss, loss, 100 * LOSS, 0.0)
        assert_near(snapshot(single), expected)

    def test_a_resumed_training_ends_in_the_same_bytes(self) -> None:
        """On as many devices, with dropout; in the same network and in one that was built anew."""
        self.needs("exact-resume")
        spec = spec_of(self.any_network(), dropout=0.5)
        shared = self.build(spec, ["cpu"] * 3)
        shared.train_steps(random_batches(spec, 3, 7))
        weights, state = shared.weights(), shared.training_state()
        tail, last = random_batches(spec, 3, 7, first_step=3), random_batches(spec, 1, 2, first_step=6)

        def goes_on(classifier: Classifier) -> tuple[list[float], dict[str, np.ndarray]]:
            losses = [*classifier.train_steps(tail).loss.tolist(), *classifier.train_steps(last).loss.tolist()]
            return losses, snapshot(classifier)

        undisturbed, ended = goes_on(shared)
        for resumed in (shared, self.build(spec, ["cpu"] * 3)):
            resumed.load_weights(weights)
            resumed.load_training_state(state)
            found = goes_on(resumed)
            assert found[0] == undisturbed
            assert_same_bytes(found[1], ended)

    def test_answers_are_those_of_one_device_and_leave_no_trace(self, subject: Subject) -> None:
        """Logits and features of any number of samples."""
        shared, single = subject.fresh()
        before = snapshot(shared)
        for samples in (1, 4):
            x = random_batches(subject.spec, 1, samples).x[0]
            assert_close("logits", shared.logits(x), single.logits(x), 1e-4, 1e-5)
            assert_close("features", shared.features(x), single.features(x), 1e-4, 1e-5)
        assert_same_bytes(snapshot(shared), before)

    def test_wrong_weights_are_refused_by_name(self, subject: Subject) -> None:
        """On all devices, which then go on."""
        shared, single = subject.fresh()
        with pytest.raises(InputError, match=r"output\.bias"):
            shared.load_weights({**shared.weights(), "output.bias": np.zeros(77, np.float32)})
        batches: Batches = random_batches(subject.spec, 1)
        assert_close("loss", shared.train_steps(batches).loss, single.train_steps(batches).loss, LOSS, 0.0)

    def test_its_processes_end_with_the_one_that_started_them(self) -> None:
        """However that ended: here by SIGKILL."""
        code = (
            "import sys, time, psutil; from recurra.conformance.networks import spec_of;"
            "from recurra.registry import load_backend; spec = spec_of(sys.argv[2]);"
            "kept = load_backend(sys.argv[1]).build_parallel(spec, ['cpu', 'cpu'], 0);"
            "found = psutil.Process().children(recursive=True);"
            "print(*[each.pid for each in found], 'those are all', flush=True); time.sleep(300)"
        )
        asked = [sys.executable, "-P", "-c", code, self.name, self.any_network()]
        child = subprocess.Popen(asked, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        line = next(line for line in child.stdout if "those are all" in line)
        started = [psutil.Process(int(pid)) for pid in line.split() if pid.isdigit()]
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
        _, alive = psutil.wait_procs(started, timeout=20)
        assert alive == []

    def test_a_training_on_two_devices_is_evaluated_on_one(self, tmp_path: Path) -> None:
        """Core's own loop, from `train.devices` to weights that answer on one device."""
        experiment = self._experiment(devices=2)
        dataset = tmp_path / "dataset"
        dataset.mkdir()
        preprocess(open_source("digits", experiment.data), experiment, dataset, Silent())
        for devices in (1, 2):
            (tmp_path / f"made-{devices}").mkdir()
            asked = self._experiment(devices=devices)
            train(asked, dataset, tmp_path / f"partial-{devices}", tmp_path / f"made-{devices}", Silent())
        record = read_json(tmp_path / "made-2" / "train.json")
        assert record["device"] == "2 x cpu"
        built = trained(experiment, Dataset.open(dataset), tmp_path / "made-2" / "last.safetensors")
        assert built.devices == ("cpu",)
        single = trained(experiment, Dataset.open(dataset), tmp_path / "made-1" / "last.safetensors")
        assert_near(built.network.weights(), single.network.weights())

    @classmethod
    def _experiment(cls, **settings: Any) -> Any:
        class Training(TrainingSuite):
            name = cls.name

        whole = Training.experiment(epochs=1, batch_size=64, dropout=0.0, **settings)
        return whole.model_copy(update={"data": whole.data.model_copy(update={"train_fraction": 0.2})})
