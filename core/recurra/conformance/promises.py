"""What a backend promises beside its arithmetic: how it is found, what it hands over, that it repeats itself, where it
computes, and how many cores it takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from recurra.conformance.checks import Declared, expected_failures, group, slow
from recurra.conformance.deviation import assert_close, record_deviation
from recurra.conformance.networks import NETWORKS, Networks, assert_same_bytes, random_batches, snapshot, spec_of
from recurra.conformance.requirements import modules_of, requirements_of
from recurra.contract import CAPABILITIES, CONTRACT, KINDS, MeasuringBackend
from recurra.devices.surroundings import THREADS
from recurra.environment import usable_cores
from recurra.errors import InputError, nearest
from recurra.registry import backend_entry, load_backend
from recurra.weights import initial_weights, layout

TRAINS = """
import hashlib, sys
from recurra.conformance.networks import random_batches, snapshot, spec_of
from recurra.registry import load_backend
from recurra.weights import initial_weights
spec = spec_of(sys.argv[2], dropout=0.3)
classifier = load_backend(sys.argv[1]).build(spec, "cpu", 3)
classifier.load_weights(initial_weights(spec, 3))
classifier.train_steps(random_batches(spec, 4))
parts = [name.encode() + array.tobytes() for name, array in snapshot(classifier).items()]
print(hashlib.sha256(b"".join(parts)).hexdigest())
"""
WORKS = """
import sys, time
from recurra.conformance.networks import random_batches
from recurra.contract import ClassifierSpec, SampleShape
from recurra.experiment import Cnn, Model, Rnn, Train
from recurra.registry import load_backend
from recurra.weights import initial_weights
model = Model(kind=sys.argv[2], cnn=Cnn(channels=(16, 16)), rnn=Rnn(units=64))
spec = ClassifierSpec(model, Train(), SampleShape("image", 1, 28, 28, 1), 10)
classifier = load_backend(sys.argv[1]).build(spec, "cpu", 0)
classifier.load_weights(initial_weights(spec, 0))
batches = random_batches(spec, 4, 64)
classifier.train_steps(batches)
wall, cpu = time.perf_counter(), time.process_time()
while time.perf_counter() - wall < 2:
    classifier.train_steps(batches)
print((time.process_time() - cpu) / (time.perf_counter() - wall))
"""


def fresh(code: str, *arguments: str, **environment: str) -> str:
    """What a new interpreter prints that runs the code."""
    command, surroundings = [sys.executable, "-P", "-c", code, *arguments], {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=surroundings)
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stderr.strip()[-2000:]}"
    return done.stdout


class Promises(Networks):
    """Part of `BackendSuite`."""

    @group("import")
    def test_listing_and_loading_import_no_framework(self) -> None:
        """In a fresh interpreter, getting the backend object imports nothing that its extra installs."""
        wanted = requirements_of(backend_entry(self.name))
        if not wanted:
            pytest.skip("it requires nothing that recurra itself does not")
        heavy = modules_of(wanted)
        assert heavy, f"no module was found of what it requires: {', '.join(sorted(wanted))}"
        code = (
            "import sys; from recurra.registry import entries, load_backend; entries(); before = set(sys.modules);"
            f"load_backend({self.name!r}); print(sorted({heavy!r} & (sys.modules.keys() - before)))"
        )
        assert fresh(code) == "[]\n"

    @group("import")
    def test_listing_does_not_import_the_plugin(self) -> None:
        """Entries are read from the metadata of distributions alone."""
        top = backend_entry(self.name).module.partition(".")[0]
        code = f"import sys; from recurra.registry import entries; entries(); print({top!r} in sys.modules)"
        assert fresh(code) == "False\n"

    @group("import")
    def test_its_entry_module_prints_nothing_and_changes_nothing_that_others_see(self) -> None:
        """Neither output, nor signal handlers, nor the folder, nor warnings filters, nor NumPy's random state."""
        code = (
            "import os, signal, sys, warnings; import numpy, recurra.contract, recurra.hookspecs\n"
            "def seen(): return (os.getcwd(), [signal.getsignal(n) for n in (2, 15)], len(warnings.filters),"
            " numpy.random.get_state()[1].tolist())\n"
            f"before = seen(); import {backend_entry(self.name).module}; print(seen() == before)"
        )
        assert fresh(code) == "True\n"

    @group("import")
    def test_it_says_what_it_is_and_which_devices_it_sees(self) -> None:
        """Name, contract, devices and versions have the documented form."""
        backend = load_backend(self.name)
        devices = backend.devices()
        assert backend.name == self.name
        assert backend.contract[0] <= CONTRACT <= backend.contract[1]
        assert isinstance(backend.capabilities, frozenset)
        for claimed in sorted(backend.capabilities - {*CAPABILITIES}):
            raise AssertionError(f"there is no capability '{claimed}'.{nearest(claimed, CAPABILITIES)}")
        assert backend.capabilities & {*KINDS}, f"it claims none of {', '.join(KINDS)}"
        assert "cpu" in [device.name for device in devices]
        assert all(isinstance(value, str) for value in backend.describe().values())

    @group("import")
    def test_expected_failures_name_checks_of_the_kit(self, request: pytest.FixtureRequest) -> None:
        """What the entry module's `recurra_conformance` declares is there to fail, with its parameter if it has one."""
        from recurra.conformance.kit import SUITES

        plugin = request.config.pluginmanager.get_plugin(Declared.NAME)
        assert isinstance(plugin, Declared)
        known = {check for suite in SUITES for check in dir(suite)}
        # Of a suite that is not run here, parameters are not known.
        here = {name.partition("[")[0] for name in plugin.collected}
        stale = [
            name
            for name, check in ((name, name.partition("[")[0]) for name in expected_failures(self.name))
            if check not in known or (name != check and check in here and name not in plugin.collected)
        ]
        assert not stale, f"no check of the kit is called {', '.join(stale)}"

    @group("requests")
    def test_an_unknown_device_is_refused_by_name(self) -> None:
        """`gpu:77` is not there, and the message says what is."""
        with pytest.raises(InputError, match=r"gpu:77.*cpu|cpu.*gpu:77"):
            load_backend(self.name).build(spec_of(self.any_network()), "gpu:77", 0)

    @group("requests")
    def test_weights_and_states_of_another_network_are_refused_by_name(self) -> None:
        """What is missing, and what has another shape."""
        classifier = self.build(spec_of(self.any_network()))
        for load, given, name in (
            (classifier.load_weights, classifier.weights(), "output.bias"),
            (classifier.load_training_state, classifier.training_state(), "adam.m.output.bias"),
        ):
            lacking = {key: array for key, array in given.items() if key != name}
            for wrong in (lacking, {**given, name: np.zeros(77, np.float32)}):
                with pytest.raises(InputError, match=name):
                    load(wrong)

    @group("requests")
    def test_a_refused_request_leaves_the_network_as_it_was(self) -> None:
        """Also where the wrong weight is not the first one."""
        classifier = self.build(spec_of(self.any_network()))
        before = snapshot(classifier)
        wrong = {name: array + 1 for name, array in classifier.weights().items()}
        with pytest.raises(InputError):
            classifier.load_weights({**wrong, "output.bias": np.zeros(77, np.float32)})
        state = {name: array + 1 for name, array in classifier.training_state().items() if name.startswith("adam.")}
        with pytest.raises(InputError):
            classifier.load_training_state({name: array for name, array in state.items() if name != "adam.step"})
        assert_same_bytes(snapshot(classifier), before)

    @group("requests")
    def test_a_state_with_entries_of_another_backend_is_taken(self) -> None:
        """They are ignored."""
        classifier = self.build(spec_of(self.any_network()))
        classifier.load_training_state({**classifier.training_state(), "backend.other": np.zeros(3)})

    @group("forward")
    def test_shapes_and_dtypes_are_those_of_the_contract(self, network: str) -> None:
        """Of answers, records, weights and state, for one sample and for several."""
        spec = spec_of(network)
        classifier, shapes = self.build(spec), layout(spec)
        for samples in (1, 5):
            x = random_batches(spec, 1, samples).x[0]
            logits, features = classifier.logits(x), classifier.features(x)
            assert (logits.shape, logits.dtype) == ((samples, spec.classes), np.float32)
            assert (features.shape, features.dtype) == ((samples, shapes["output.kernel"][0]), np.float32)
        records = classifier.train_steps(random_batches(spec, 3, 2))
        assert (records.loss.shape, records.loss.dtype) == ((3,), np.float32)
        assert (records.correct.shape, records.correct.dtype) == ((3,), np.int64)
        state = classifier.training_state()
        assert (state["adam.step"].shape, state["adam.step"].dtype) == ((), np.int64)
        for of in (classifier.weights(), *({n: state[f"adam.{m}.{n}"] for n in shapes} for m in "mv")):
            assert {name: (array.shape, array.dtype) for name, array in of.items()} == {
                name: (shape, np.float32) for name, shape in shapes.items()
            }

    @group("forward")
    def test_first_weights_are_those_that_core_drew_and_none_of_its_own(self, network: str) -> None:
        """Whatever seed the network was built with, the same weights give the same answers."""
        spec = spec_of(network)
        given, x, answers = initial_weights(spec, 9), random_batches(spec, 1).x[0], []
        for seed in (1, 2):
            classifier = load_backend(self.name).build(spec, "cpu", seed)
            classifier.load_weights(given)
            assert_same_bytes(classifier.weights(), given)
            answers.append(classifier.logits(x))
        assert_close("logits", answers[1], answers[0], 0.0, 0.0)

    @group("forward")
    def test_weights_survive_a_file(self, network: str, tmp_path: Path) -> None:
        """What is written of them as safetensors, and read again, is what a network of other weights then has."""
        spec = spec_of(network)
        classifier, other = self.build(spec), self.build(spec, 1)
        classifier.train_steps(random_batches(spec, 2))
        save_file(classifier.weights(), tmp_path / "weights.safetensors")
        other.load_weights(load_file(tmp_path / "weights.safetensors"))
        assert_same_bytes(other.weights(), classifier.weights())
        x = random_batches(spec, 1).x[0]
        assert_close("logits", other.logits(x), classifier.logits(x), 0.0, 0.0)

    @group("training")
    def test_batches_are_left_as_they_were_and_may_be_read_only(self) -> None:
        """They are core's memory."""
        spec = spec_of(self.any_network(), dropout=0.5)
        batches = random_batches(spec, 2)
        before = [array.tobytes() for array in (batches.x, batches.y, batches.learning_rates)]
        for array in (batches.x, batches.y, batches.learning_rates):
            array.flags.writeable = False
        classifier = self.build(spec)
        classifier.train_steps(batches)
        classifier.logits(batches.x[0])
        assert [array.tobytes() for array in (batches.x, batches.y, batches.learning_rates)] == before

    @group("training")
    def test_the_same_training_twice_ends_in_the_same_bytes(self, network: str) -> None:
        """In one process: nothing is left over from the first."""
        spec, ends = spec_of(network, dropout=0.3), []
        for _ in range(2):
            classifier = self.build(spec)
            classifier.train_steps(random_batches(spec, 4))
            ends.append(snapshot(classifier))
        assert_same_bytes(*ends)

    @slow
    @group("training")
    def test_two_processes_train_to_the_same_bytes(self) -> None:
        """Nothing depends on addresses, hash seeds or the clock."""
        digests = {fresh(TRAINS, self.name, self.any_network(), PYTHONHASHSEED=seed) for seed in ("1", "2")}
        assert len(digests) == 1

    @group("devices")
    def test_a_network_answers_the_same_on_every_device_and_stays_there(self) -> None:
        """Each that the backend lists; where it knows how much of a GPU's memory it took, that is more than nothing."""
        backend, spec = load_backend(self.name), spec_of(self.any_network())
        devices = [device.name for device in backend.devices() if device.name != "cpu"]
        if not devices:
            pytest.skip("the backend sees no device but the CPU")
        batches, on_cpu = random_batches(spec, 2), self.build(spec)
        x = batches.x[0]
        logits, losses = on_cpu.logits(x), on_cpu.train_steps(batches).loss
        for device in devices:
            classifier = self.build(spec, device=device)
            assert_close(f"logits on {device}", classifier.logits(x), logits, 1e-3, 1e-4)
            assert_close(f"losses on {device}", classifier.train_steps(batches).loss, losses, 1e-3, 1e-4)
            if isinstance(backend, MeasuringBackend):
                assert (backend.peak_memory(device) or 0) > 0, f"nothing of {device}'s memory was used"

    @slow
    @group("devices")
    def test_it_computes_on_no_more_cores_than_it_is_allowed(self) -> None:
        """The environment of a task that holds one core, in a process of its own: CPU time per second of training."""
        if usable_cores() < 2:
            pytest.skip("this machine has one core")
        kind = NETWORKS[self.any_network()][0].kind
        cores = float(fresh(WORKS, self.name, kind, **dict.fromkeys(THREADS, "1")).splitlines()[-1])
        record_deviation("cores at work", max(cores, 1.0), 1.0, 0, 0.3)
        assert cores < 1.3, f"{cores:.2f} cores are at work where one is allowed"
