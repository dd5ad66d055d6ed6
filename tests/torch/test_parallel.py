"""Data-parallel training: as of one device, exact to resume, and told in one line where a rank is lost."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from recurra.conformance.networks import assert_same_bytes, random_batches, snapshot, spec_of
from recurra.conformance.parallel import start
from recurra.contract import Classifier, ClassifierSpec
from recurra.errors import DeviceMemoryError, InputError, RecurraError
from recurra.registry import load_backend
from recurra.weights import initial_weights

pytestmark = pytest.mark.torch

EVERYTHING = {"dropout": 0.3, "clip_norm": 0.5, "weight_decay": 0.01}


def parallel(spec: ClassifierSpec, ranks: int, seed: int = 3) -> Classifier:
    """On the CPU, with the spec's first weights."""
    classifier = load_backend("torch").build_parallel(spec, ["cpu"] * ranks, seed)
    classifier.load_weights(initial_weights(spec, 0))
    return classifier


def alone(spec: ClassifierSpec, seed: int = 3) -> Classifier:
    classifier = load_backend("torch").build(spec, "cpu", seed)
    classifier.load_weights(initial_weights(spec, 0))
    return classifier


def ranks_of(process: psutil.Process) -> list[psutil.Process]:
    """Those that live."""
    return [each for each in process.children() if "recurra_torch.rank" in each.cmdline()]


@contextmanager
def new_ranks() -> Iterator[list[psutil.Process]]:
    """Filled with the ranks that are started within the block."""
    before, found = ranks_of(psutil.Process()), []
    yield found
    found += [rank for rank in ranks_of(psutil.Process()) if rank not in before]


def assert_gone(processes: list[psutil.Process], within: float = 10.0) -> None:
    _, alive = psutil.wait_procs(processes, within)
    assert alive == []


@pytest.fixture(scope="module")
def three() -> tuple[ClassifierSpec, Classifier]:
    """Three ranks of a fusion with everything on."""
    spec = spec_of("fusion-gru-image", **EVERYTHING)
    return spec, parallel(spec, 3)


@pytest.mark.parametrize(("network", "ranks"), [("cnn-image", 2), ("rnn-lstm-deep", 2), ("fusion-gru-image", 3)])
def test_ten_steps_are_those_of_one_device(network, ranks, three) -> None:
    spec = spec_of(network, **EVERYTHING)
    shared = start(three[1], spec) if spec == three[0] else parallel(spec, ranks)
    single, batches = alone(spec), random_batches(spec, 10)
    found, expected = shared.train_steps(batches), single.train_steps(batches)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
    assert found.correct.tolist() == expected.correct.tolist()
    assert (found.loss.dtype, found.correct.dtype) == (np.float32, np.int64)
    ended, wanted = snapshot(shared), snapshot(single)
    assert list(ended) == list(wanted)
    for name, array in wanted.items():
        np.testing.assert_allclose(ended[name], array, rtol=1e-3, atol=2e-5, err_msg=name)
    x = batches.x[0]
    single.load_weights(shared.weights())
    np.testing.assert_array_equal(shared.logits(x), single.logits(x))
    np.testing.assert_array_equal(shared.features(x), single.features(x))


@pytest.mark.parametrize("samples", [1, 2, 3, 4, 5, 7])
def test_every_sample_counts_once_however_many_there_are(three, samples) -> None:
    spec, shared = three
    batches, single = random_batches(spec, 3, samples), alone(spec)
    found, expected = start(shared, spec).train_steps(batches), single.train_steps(batches)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
    assert found.correct.tolist() == expected.correct.tolist()
    for name, array in single.weights().items():
        np.testing.assert_allclose(shared.weights()[name], array, rtol=1e-3, atol=2e-5, err_msg=name)


def test_parts_of_a_batch_follow_each_other_and_none_is_left_out() -> None:
    from recurra_torch.replica import Share

    for batch in range(1, 20):
        for ranks in range(1, 9):
            shares = [Share.of(batch, rank, ranks) for rank in range(ranks)]
            parts = [range(batch)[share.rows] for share in shares]
            sizes = [len(part) * share.counts for part, share in zip(parts, shares, strict=True)]
            counted = [row for part, size in zip(parts, sizes, strict=True) if size for row in part]
            assert counted == list(range(batch))
            assert max(sizes) - min(sizes) <= 1
            assert min(len(part) for part in parts) == max(1, min(sizes))


def test_a_resumed_training_ends_in_the_same_bytes(three) -> None:
    spec, undisturbed = three
    head, last = random_batches(spec, 3, 7), random_batches(spec, 1, 2, first_step=3)
    tail = random_batches(spec, 3, 7, first_step=4)
    start(undisturbed, spec).train_steps(head)
    undisturbed.train_steps(last)
    resumed = parallel(spec, 3)
    resumed.load_weights(undisturbed.weights())
    resumed.load_training_state(undisturbed.training_state())
    records = [vars(classifier.train_steps(tail)) for classifier in (undisturbed, resumed)]
    assert_same_bytes(*records)
    assert_same_bytes(snapshot(resumed), snapshot(undisturbed))


def test_steps_are_the_same_at_once_or_one_by_one_and_reading_leaves_no_trace(three) -> None:
    spec, classifier = three
    batches = random_batches(spec, 4)
    together = start(classifier, spec).train_steps(batches)
    ended, losses = snapshot(classifier), []
    start(classifier, spec)
    for s in range(4):
        one = replace(batches, x=batches.x[s:][:1], y=batches.y[s:][:1], learning_rates=batches.learning_rates[s:][:1])
        losses.append(classifier.train_steps(replace(one, first_step=s)).loss[0])
        classifier.logits(batches.x[s])
        classifier.weights()["output.bias"][...] = 7
    assert losses == together.loss.tolist()
    assert_same_bytes(snapshot(classifier), ended)


def test_a_killed_rank_is_told_and_the_others_end_and_loading_starts_anew() -> None:
    spec = spec_of("cnn-image", **EVERYTHING)
    with new_ranks() as ranks:
        classifier = parallel(spec, 2)
    before = snapshot(classifier)
    ranks[1].kill()
    with pytest.raises(RecurraError, match=r"^rank \d of 2 \(cpu\) was ended by SIGKILL .*memory") as caught:
        classifier.train_steps(random_batches(spec, 2))
    assert isinstance(caught.value, OSError)  # worth another try
    assert_gone(ranks)
    with pytest.raises(RecurraError, match="have ended"):
        classifier.weights()
    classifier.load_weights(initial_weights(spec, 0))
    assert_same_bytes(snapshot(classifier), before)


def test_a_rank_that_stands_still_is_told_and_ended(monkeypatch) -> None:
    from recurra_torch import ranks as module

    monkeypatch.setattr(module, "PATIENCE", 3.0)
    spec = spec_of("cnn-image")
    with new_ranks() as ranks:
        classifier = parallel(spec, 2)
    ranks[1].suspend()
    with pytest.raises(RecurraError, match=r"^rank \d of 2 \(cpu\) did not answer the other ranks within 3 s$"):
        classifier.train_steps(random_batches(spec, 2))
    assert_gone(ranks)


def test_full_memory_of_a_rank_is_told_and_given_back() -> None:
    spec = spec_of("cnn-image")
    with new_ranks() as ranks:
        classifier = parallel(spec, 2)
    many = random_batches(spec, 1, 200_000)
    for rank in ranks:
        used = rank.memory_info().vms
        rank.rlimit(psutil.RLIMIT_AS, (used + 2 * many.x.nbytes, used + 2 * many.x.nbytes))
    classifier.logits(many.x[0, :10])
    with pytest.raises(DeviceMemoryError, match=r"^device cpu: out of memory"):
        classifier.logits(np.concatenate([many.x[0]] * 4))
    classifier.train_steps(random_batches(spec, 1))  # what a smaller batch needs is there, the replicas with it
    with pytest.raises(DeviceMemoryError, match=r"^device cpu: out of memory"):
        classifier.train_steps(replace(many, x=np.repeat(many.x, 4, 1), y=np.repeat(many.y, 4, 1)))
    assert_gone(ranks)


def test_ranks_end_with_their_classifier() -> None:
    with new_ranks() as ranks:
        classifier = parallel(spec_of("cnn-image"), 2)
    del classifier
    gc.collect()
    assert_gone(ranks, 0.0)


RUN = """
import psutil, sys
from recurra.conformance.networks import random_batches, spec_of
from recurra.registry import load_backend
from recurra.weights import initial_weights
spec = spec_of("cnn-image")
classifier = load_backend("torch").build_parallel(spec, ["cpu", "cpu"], 0)
classifier.load_weights(initial_weights(spec, 0))
print(*(child.pid for child in psutil.Process().children()), flush=True)
classifier.train_steps(random_batches(spec, 10))
while sys.argv[1] == "True":
    classifier.train_steps(random_batches(spec, 50))
"""


@pytest.mark.parametrize("killed", [True, False])
def test_ranks_end_with_the_process_that_started_them_and_leave_nothing(killed, tmp_path: Path) -> None:
    command = [sys.executable, "-c", RUN, str(killed)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as starter:
        assert starter.stdout is not None
        pids = [int(pid) for pid in starter.stdout.readline().split()]
        assert len(pids) == 2
        if killed:
            starter.kill()
        printed = starter.communicate(timeout=60)
    assert_gone([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)])
    assert [*tmp_path.iterdir()] == []
    if not killed:
        assert (starter.returncode, printed) == (0, (b"", b""))


@pytest.mark.parametrize(
    ("devices", "line"),
    [([], "none"), (["cpu", "gpu:77"], "gpu:77.*sees cpu|sees.*cpu"), (["gpu:0", "cpu"], "not both")],
)
def test_devices_that_cannot_train_together_are_refused(monkeypatch, devices, line) -> None:
    import torch

    if "gpu:0" in devices:
        monkeypatch.setattr("recurra_torch.parallel.resolve", lambda name: torch.device(name.replace("gpu", "cuda")))
    with pytest.raises(InputError, match=line):
        load_backend("torch").build_parallel(spec_of("cnn-image"), devices, 0)


def test_one_gpu_cannot_be_two(monkeypatch) -> None:
    import torch

    from recurra_torch import parallel as module

    monkeypatch.setattr(module, "resolve", lambda _: torch.device("cuda", 0))
    with pytest.raises(InputError, match="once"):
        module.check_devices(["gpu:0", "gpu:0"])


def test_what_does_not_fit_this_network_is_refused_and_the_ranks_live_on(three) -> None:
    spec, classifier = three
    state: dict[str, Any] = start(classifier, spec).training_state()
    with pytest.raises(InputError, match=r"output\.bias"):
        classifier.load_weights({**classifier.weights(), "output.bias": np.zeros(9, np.float32)})
    with pytest.raises(InputError, match=r"adam\.step"):
        classifier.load_training_state({name: array for name, array in state.items() if name != "adam.step"})
    assert_same_bytes(classifier.training_state(), state)
