"""What a backend is held to: a reference in float64, and pytest suites that compare a backend with it.

from recurra.conformance import BackendSuite, TrainingSuite

class TestMine(BackendSuite):
    name = "my-backend"

class TestMyTraining(TrainingSuite):
    name = "my-backend"
"""

from recurra.conformance.suite import BackendSuite
from recurra.conformance.training import TrainingSuite

__all__ = ["BackendSuite", "TrainingSuite"]
