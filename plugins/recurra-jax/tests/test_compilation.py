"""What is compiled, and how often."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from recurra.conformance.networks import random_batches, spec_of
from recurra.conformance.small_gans import gan_spec_of, random_gan_batches, random_gan_weights, random_latents
from recurra.contract import GanSpec
from recurra.experiment import Adversarial, EarlyStopping, Train
from recurra.registry import load_backend

from recurra_jax import classifier, framework, gan, graphs, mappings
from recurra_jax.devices import resolve
from recurra_jax.framework import compiled, jax, settings

CLASSIFIER, GAN = spec_of("fusion-lstm-clip", dropout=0.2), gan_spec_of("clip-spectral")
OF_CORE: dict[str, Any] = {
    "epochs": 99,
    "batch_size": 7,
    "devices": 2,
    "learning_rate": 0.5,
    "schedule": "cosine",
    "warmup_epochs": 1.5,
    "early_stopping": EarlyStopping(),
    "monitor": "val_loss",
    "keep": "last",
    "checkpoint_seconds": 1.0,
}


def entries(function: Callable[..., Any]) -> int:
    """How many times a function of this backend is compiled."""
    return getattr(function, "__wrapped__")._cache_size()  # noqa: B009 (no attribute of a Callable)


def lowered(function: Callable[..., Any], *args: Any) -> str:
    """What XLA gets of it."""
    with settings():
        return getattr(function, "__wrapped__").lower(*args).as_text()  # noqa: B009


def training(spec: Any, steps: int) -> None:
    """So many steps of a network that is built anew."""
    if isinstance(spec, GanSpec):
        built(spec).train_steps(random_gan_batches(spec, steps))
    else:
        load_backend("jax").build(spec, "cpu", 0).train_steps(random_batches(spec, steps))


def built(spec: GanSpec) -> gan.JaxGan:
    """A GAN without weights."""
    return gan.JaxGan(spec, resolve("cpu"))


@pytest.mark.parametrize("question", ["logits", "features"])
def test_a_classifier_answers_any_number_of_samples_with_what_was_compiled_for_a_power_of_two(question: str) -> None:
    network, function = load_backend("jax").build(CLASSIFIER, "cpu", 0), getattr(classifier, question)
    before = entries(function)
    found = [getattr(network, question)(random_batches(CLASSIFIER, 1, count).x[0]) for count in (64, 63, 40, 33)]
    assert [len(each) for each in found] == [64, 63, 40, 33]
    assert entries(function) == before + 1


def test_a_gan_generates_and_judges_any_number_of_samples_with_what_was_compiled_for_a_power_of_two() -> None:
    network = built(GAN)
    network.load_weights(random_gan_weights(GAN))
    before = entries(gan.samples_of), entries(gan.logits_of)
    for count in (8, 7, 5):
        latents, labels = random_latents(GAN, count)
        samples = network.generate(latents, labels)
        frames, clips = network.judge(samples, labels)
        assert clips is not None
        assert len(samples) == len(frames) == len(clips) == count
    assert (entries(gan.samples_of), entries(gan.logits_of)) == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize(
    ("spec", "function"), [(CLASSIFIER, classifier.train_steps), (GAN, gan.train_steps)], ids=["classifier", "gan"]
)
def test_fewer_steps_than_before_compile_nothing_new_in_this_network_or_an_equal_one(
    spec: Any, function: Callable[..., Any]
) -> None:
    before = entries(function)
    for steps in (3, 2, 1, 3):
        training(spec, steps)
    assert entries(function) == before + 1


def test_specs_that_differ_in_what_core_does_share_what_is_compiled() -> None:
    for name, value in OF_CORE.items():
        other = replace(CLASSIFIER, train=CLASSIFIER.train.model_copy(update={name: value}))
        assert other != CLASSIFIER, name
        assert graphs.of_training(other) == graphs.of_training(CLASSIFIER), name


def test_answers_share_what_is_compiled_whatever_the_training() -> None:
    other = replace(CLASSIFIER, train=Train.model_validate({"dropout": 0.9, "clip_norm": 1.0, "epochs": 3}))
    assert graphs.of_answers(other) == graphs.of_answers(CLASSIFIER)


@pytest.mark.parametrize(
    "settings", [{"dropout": 0.5}, {"weight_decay": 0.1}, {"clip_norm": 1.0}, {"precision": "bf16"}, {"gan": {"r2": 0}}]
)
def test_specs_that_differ_in_what_a_step_does_are_compiled_each(settings: dict[str, Any]) -> None:
    plain, other = (replace(CLASSIFIER, train=Train.model_validate(each)) for each in ({}, settings))
    assert graphs.of_training(other) != graphs.of_training(plain)


def test_gans_that_differ_in_what_core_does_share_what_is_compiled() -> None:
    other = Adversarial(
        discriminator_learning_rate=0.5, penalty_every=3, frames=3, average=0.1, measured=99, monitor="recall"
    )
    specs = [replace(GAN, train=Train(gan=each)) for each in (Adversarial(), other)]
    assert graphs.of_training(specs[0]) == graphs.of_training(specs[1])


def test_every_product_and_convolution_of_a_step_is_exact_float32_and_its_state_is_donated() -> None:
    network, batches = built(GAN), random_gan_batches(GAN, 1)
    state = network._state
    text = lowered(gan.train_steps, state, network._steps(batches), 1, GAN)
    products = re.findall(r"stablehlo\.(?:dot_general|convolution).*", text)
    assert len(products) > 50
    assert [each for each in products if "HIGHEST" not in each] == []
    assert text.count("tf.aliasing_output") == len(jax.tree.leaves(state))


def test_the_options_of_repeatable_kernels_reach_xla(monkeypatch: pytest.MonkeyPatch) -> None:
    assert framework._REPEATABLE == {"xla_gpu_deterministic_ops": True}
    monkeypatch.setattr(framework, "_REPEATABLE", {"xla_no_such_option": True})
    with pytest.raises(jax.errors.JaxRuntimeError, match="xla_no_such_option"):
        compiled()(lambda x: -x)(1.0)


@pytest.mark.skipif(not mappings.MAPS.exists(), reason="mappings are counted in /proc")
def test_what_was_compiled_is_forgotten_before_the_mappings_run_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = random_batches(CLASSIFIER, 3)
    undisturbed, network = (load_backend("jax").build(CLASSIFIER, "cpu", 0) for _ in range(2))
    undisturbed.train_steps(steps)
    network.train_steps(steps)
    load_backend("jax").build(CLASSIFIER, "cpu", 0)
    assert entries(classifier.train_steps) > 0, "forgotten with room to spare"
    (tmp_path / "most").write_text("100\n")
    monkeypatch.setattr(mappings, "MOST", tmp_path / "most")
    before = mappings.MAPS.read_bytes().count(b"\n")
    load_backend("jax").build(CLASSIFIER, "cpu", 0)
    assert entries(classifier.train_steps) == 0
    assert mappings.MAPS.read_bytes().count(b"\n") < before
    # A network that was in use goes on as if nothing had happened.
    assert network.train_steps(steps).loss.tobytes() == undisturbed.train_steps(steps).loss.tobytes()
