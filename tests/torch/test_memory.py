"""Full memory: told in one line that names the device, and given back so that less can be tried at once."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from recurra.conformance.networks import assert_same_bytes, random_batches, snapshot, spec_of
from recurra.conformance.small_gans import gan_spec_of, random_gan_batches, random_gan_weights, random_latents
from recurra.errors import DeviceMemoryError
from recurra.registry import load_backend

pytestmark = pytest.mark.torch

FULL = r"^device cpu: out of memory \(\d+ bytes more were asked for\)$"


@contextmanager
def full_after(module) -> Iterator[list]:
    """Until the block ends, PyTorch's own allocator fails after the module. Filled with what the module had made."""
    import torch

    made: list[weakref.ref] = []

    def ask_for_too_much(module, inputs, output) -> None:
        made.append(weakref.ref(output))
        torch.empty(2**58, dtype=torch.uint8)

    hook = module.register_forward_hook(ask_for_too_much)
    yield made
    hook.remove()


def test_a_step_that_does_not_fit_leaves_nothing_behind(build) -> None:
    spec = spec_of("fusion-lstm-image", dropout=0.3)
    classifier, undisturbed, batches = build(spec), build(spec), random_batches(spec, 2)
    with full_after(classifier.network.features) as made, pytest.raises(DeviceMemoryError, match=FULL) as caught:
        classifier.train_steps(batches)
    assert [each() for each in made] == [None]  # while the error is still there
    assert caught.value.__context__ is None
    for each in (classifier, undisturbed):
        each.train_steps(batches)
    assert_same_bytes(snapshot(classifier), snapshot(undisturbed))


def test_memory_that_fills_on_the_way_back_leaves_no_gradient(build) -> None:
    import torch

    spec = spec_of("cnn-image")
    classifier, undisturbed, batches = build(spec), build(spec), random_batches(spec, 1)
    first = classifier.network.features.convolutions[0].weight
    hook = first.register_hook(lambda gradient: torch.empty(2**58, dtype=torch.uint8))
    with pytest.raises(DeviceMemoryError, match=FULL):
        classifier.train_steps(batches)
    hook.remove()
    for each in (classifier, undisturbed):
        each.train_steps(batches)
    assert_same_bytes(snapshot(classifier), snapshot(undisturbed))


@pytest.mark.parametrize("what", ["logits", "features"])
def test_inference_that_does_not_fit_is_told(build, what) -> None:
    spec = spec_of("cnn-image")
    classifier, x = build(spec), random_batches(spec, 1).x[0]
    with full_after(classifier.network.features), pytest.raises(DeviceMemoryError, match=FULL):
        getattr(classifier, what)(x)
    assert np.isfinite(getattr(classifier, what)(x)).all()


def test_a_gan_tells_it_in_training_generating_and_judging() -> None:
    spec = gan_spec_of("clip")
    gan = load_backend("torch").build_gan(spec, "cpu")
    gan.load_weights(random_gan_weights(spec))
    batches, (latents, labels) = random_gan_batches(spec, 1), random_latents(spec, 3)
    parts = [gan.generator, gan.average, gan.discriminators]
    calls = [
        lambda: gan.train_steps(batches),
        lambda: gan.generate(latents, labels),
        lambda: gan.judge(batches.x[0], batches.y[0]),
    ]
    for part, call in zip(parts, calls, strict=True):
        with full_after(next(part.children())), pytest.raises(DeviceMemoryError, match=FULL):
            call()
        call()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 1 has a total capacity of 79.11 GiB",
            "gpu:1.*20.00 GiB",
        ),
        ("cuDNN error: CUDNN_STATUS_ALLOC_FAILED", "gpu:1: out of memory$"),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", "gpu:1: out of memory$"),
        ("CUDA error: out of memory", "gpu:1: out of memory$"),
        ("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.", "cpu.*9 bytes"),
    ],
)
def test_every_way_in_which_a_gpu_says_it_is_told_by_its_name(monkeypatch, error, line) -> None:
    import torch

    from recurra_torch.memory import within_memory

    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)

    def full() -> None:
        raise torch.OutOfMemoryError(error) if error.startswith("CUDA out") else RuntimeError(error)

    with pytest.raises(DeviceMemoryError, match=line):
        within_memory(torch.device("cuda", 1), full)


def test_other_errors_stay_what_they_are() -> None:
    import torch

    from recurra_torch.memory import within_memory

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        within_memory(torch.device("cpu"), torch.mm, torch.zeros(2, 3), torch.zeros(2, 3))


@pytest.mark.parametrize("what", ["weights", "training_state"])
def test_what_does_not_fit_when_it_is_loaded_is_told(build, what, monkeypatch) -> None:
    import torch

    from recurra_torch.weights import CanonicalView

    classifier = build(spec_of("cnn-image"))
    given = getattr(classifier, what)()
    monkeypatch.setattr(CanonicalView, "write", lambda *_: torch.empty(2**58, dtype=torch.uint8))
    with pytest.raises(DeviceMemoryError, match=FULL):
        getattr(classifier, f"load_{what}")(given)


def test_memory_that_is_lacking_for_the_network_itself_is_told(monkeypatch) -> None:
    import torch

    from recurra_torch import classifier as module

    monkeypatch.setattr(module, "Network", lambda spec: torch.empty(2**58, dtype=torch.uint8))
    with pytest.raises(DeviceMemoryError, match=FULL):
        load_backend("torch").build(spec_of("cnn-image"), "cpu", 0)
