"""The PyTorch backend against the conformance suites."""

from __future__ import annotations

import pytest

from recurra.conformance import BackendSuite, GanSuite, ParallelSuite

pytestmark = pytest.mark.torch


class TestTorch(BackendSuite):
    name = "torch"


class TestGan(GanSuite):
    name = "torch"


class TestParallel(ParallelSuite):
    name = "torch"
