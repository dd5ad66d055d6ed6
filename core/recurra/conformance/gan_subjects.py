"""What the tests of GANs share: each of the small GANs, built once on a backend."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from recurra.conformance.checks import Suite
from recurra.conformance.small_gans import GANS, gan_spec_of, random_gan_weights, start
from recurra.contract import GanBackend, GanSpec, RecurrentGan
from recurra.gan_weights import is_generators, is_trained
from recurra.registry import load_backend

SIDES = ("generator", "discriminator")


@dataclass(frozen=True)
class Subject:
    """A GAN that a backend built, and its spec."""

    gan: RecurrentGan
    spec: GanSpec

    def fresh(self, seed: int = 0) -> RecurrentGan:
        """It, at random weights and before its first step."""
        return start(self.gan, self.spec, random_gan_weights(self.spec, seed))


def of_side(name: str, side: str) -> bool:
    """Whether the side's optimiser moves the weight."""
    return is_trained(name) and is_generators(name) == (side == "generator")


class GanSubjects(Suite):
    """Builds GANs on the backend that `name` says."""

    group = "gan"
    asks = ("gan",)

    @classmethod
    def build(cls, spec: GanSpec) -> RecurrentGan:
        """A GAN on the CPU, without weights."""
        cls.needs("gan")
        backend = load_backend(cls.name)
        assert isinstance(backend, GanBackend)
        return backend.build_gan(spec, "cpu")

    @classmethod
    def started(cls, spec: GanSpec) -> RecurrentGan:
        """A GAN on the CPU, at random weights."""
        return start(cls.build(spec), spec, random_gan_weights(spec))

    @pytest.fixture(scope="class", params=GANS)
    @classmethod
    def subject(cls, request: pytest.FixtureRequest) -> Subject:
        """Each of GANS. It is built once: a graph is not traced anew for every test."""
        spec = gan_spec_of(request.param)
        return Subject(cls.build(spec), spec)
