"""Every suite in one class, for the tests of a backend: `class TestMine(Kit): name = "my-backend"`."""

from __future__ import annotations

from typing import Any

from recurra.conformance.checks import Suite
from recurra.conformance.gan import GanSuite
from recurra.conformance.gan_training import GanTrainingSuite
from recurra.conformance.parallel import ParallelSuite
from recurra.conformance.suite import BackendSuite
from recurra.conformance.training import TrainingSuite

SUITES: tuple[type[Suite], ...] = (ParallelSuite, BackendSuite, TrainingSuite, GanSuite, GanTrainingSuite)
"""In this order: a framework may be able to make several devices of one CPU only before it first computes."""


class Kit:
    """Subclass it with `name`, the backend's. pytest finds each suite as a class within it: `TestMine::TestGan`."""

    name: str

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        for suite in SUITES:
            short = f"Test{suite.__name__.removesuffix('Suite')}"
            setattr(cls, short, type(short, (suite,), {"name": cls.name, "__module__": cls.__module__}))
