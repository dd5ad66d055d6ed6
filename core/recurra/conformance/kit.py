"""Every suite, of the backend that `recurra plugins check` is asked for; pytest collects it in a process of its own."""

from __future__ import annotations

import os

from recurra.conformance import BackendSuite, GanSuite, GanTrainingSuite, ParallelSuite, TrainingSuite

CHECKED = "RECURRA_CHECKED"
"""The variable that names the backend."""
_NAME = os.environ.get(CHECKED, "")


class TestBackend(BackendSuite):
    """Recognisers."""

    name = _NAME


class TestTraining(TrainingSuite):
    """Core's training of them."""

    name = _NAME


class TestGan(GanSuite):
    """GANs."""

    name = _NAME


class TestGanTraining(GanTrainingSuite):
    """Core's training of them."""

    name = _NAME


class TestParallel(ParallelSuite):
    """Several devices."""

    name = _NAME
