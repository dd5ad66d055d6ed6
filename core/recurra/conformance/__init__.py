"""What a backend is held to: a reference in float64, and pytest suites that compare a backend with it.

from recurra.conformance import Kit

class TestMine(Kit):
    name = "my-backend"

`Kit` is all suites. One by one they are for tests of a part: `class TestMine(BackendSuite): name = "my-backend"`.
Checks of what a backend does not claim are skipped. Of every backend, whatever it claims, it is asked that the same
training twice, in one process or in two, in one call or in several, ends in the same bytes.
"""

from __future__ import annotations

import recurra.conformance.asserts  # noqa: F401
from recurra.conformance.gan import GanSuite
from recurra.conformance.gan_training import GanTrainingSuite
from recurra.conformance.kit import Kit
from recurra.conformance.parallel import ParallelSuite
from recurra.conformance.suite import BackendSuite
from recurra.conformance.training import TrainingSuite

__all__ = ["BackendSuite", "GanSuite", "GanTrainingSuite", "Kit", "ParallelSuite", "TrainingSuite"]
