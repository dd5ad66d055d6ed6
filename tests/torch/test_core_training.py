"""Core's training on this backend."""

from __future__ import annotations

import pytest

from recurra.conformance import GanTrainingSuite, TrainingSuite

pytestmark = pytest.mark.torch


class TestTraining(TrainingSuite):
    name = "torch"


class TestGanTraining(GanTrainingSuite):
    name = "torch"
