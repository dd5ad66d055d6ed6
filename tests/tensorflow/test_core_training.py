"""Core's training on this backend."""

from __future__ import annotations

import pytest

from recurra.conformance import GanTrainingSuite, TrainingSuite

pytestmark = pytest.mark.tensorflow


class TestTraining(TrainingSuite):
    name = "tensorflow"


class TestGanTraining(GanTrainingSuite):
    name = "tensorflow"
