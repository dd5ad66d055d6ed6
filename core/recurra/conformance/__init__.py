"""What a backend is held to: a reference in float64, and pytest suites that compare a backend with it.

from recurra.conformance import BackendSuite, GanSuite, GanTrainingSuite, ParallelSuite, TrainingSuite

class TestMine(BackendSuite):
    name = "my-backend"

class TestMyTraining(TrainingSuite):
    name = "my-backend"

class TestMyGans(GanSuite):  # skipped where the backend does not claim `gan`
    name = "my-backend"

class TestMyGanTraining(GanTrainingSuite):
    name = "my-backend"

class TestOnMyDevices(ParallelSuite):  # skipped where the backend does not claim `data-parallel`
    name = "my-backend"
"""

from __future__ import annotations

import recurra.conformance.asserts  # noqa: F401
from recurra.conformance.gan import GanSuite
from recurra.conformance.gan_training import GanTrainingSuite
from recurra.conformance.parallel import ParallelSuite
from recurra.conformance.suite import BackendSuite
from recurra.conformance.training import TrainingSuite

__all__ = ["BackendSuite", "GanSuite", "GanTrainingSuite", "ParallelSuite", "TrainingSuite"]


def suite_named(name: str) -> type:
    """The suite of that name in `__all__`."""
    return globals()[name]
