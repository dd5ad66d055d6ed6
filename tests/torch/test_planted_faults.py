"""Planted faults of a GAN's discriminators (tests/core/test_kit.py has those of recognisers)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from recurra.conformance import GanSuite
from recurra.conformance.gan_subjects import Subject
from recurra.conformance.small_gans import gan_spec_of

pytestmark = pytest.mark.torch

LEAKY = """
from recurra.gan_weights import is_generators, is_trained
from recurra.hookspecs import hookimpl
from recurra.registry import load_backend

class LeakyGan:
    def __init__(self, gan):
        self.gan = gan

    def __getattr__(self, name):
        return getattr(self.gan, name)

    def train_steps(self, batches):
        records, rate = self.gan.train_steps(batches), batches.discriminator_rates.sum()
        moved = {n: a - rate * a if is_generators(n) and is_trained(n) else a for n, a in self.gan.weights().items()}
        self.gan.load_weights(moved)
        return records

class Leaky:
    name, contract, capabilities = "leaky", (1, 1), frozenset({"gan"})

    def build_gan(self, spec, device):
        return LeakyGan(load_backend("torch").build_gan(spec, device))

    def describe(self):
        return {}

    def devices(self):
        return []

    def build(self, spec, device, seed):
        raise NotImplementedError

@hookimpl
def recurra_backend():
    return Leaky()
"""


@pytest.fixture
def _leaky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "leaky_backend.py").write_text(LEAKY)
    info = tmp_path / "leaky-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: leaky\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[recurra.backends]\nleaky = leaky_backend\n")


def subject_of(backend: str, network: str = "image") -> tuple[Any, Subject]:
    class Gans(GanSuite):
        name = backend

    spec = gan_spec_of(network)
    return Gans(), Subject(Gans.build(spec), spec)


@pytest.mark.usefixtures("_leaky")
def test_discriminators_that_update_the_generator_are_caught_by_the_check_that_says_so() -> None:
    suite, subject = subject_of("leaky")
    with pytest.raises(AssertionError, match=r"the other side's update moved generator\."):
        suite.test_the_discriminators_update_leaves_the_generator_as_it_is(subject)
    suite.test_the_generators_update_leaves_the_discriminators_as_they_are(subject)


def test_a_leaky_relu_of_slope_1_at_0_is_caught_by_the_check_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    suite, subject = subject_of("torch", "clip")
    suite.test_leaky_relu_has_its_small_slope_at_0(subject)
    monkeypatch.setattr(functional, "leaky_relu_", lambda x, slope: torch.where(x >= 0, x, slope * x))
    with pytest.raises(AssertionError, match="penalty: differs"):
        suite.test_leaky_relu_has_its_small_slope_at_0(subject)


def test_sound_ones_are_not() -> None:
    suite, subject = subject_of("torch")
    suite.test_the_discriminators_update_leaves_the_generator_as_it_is(subject)
