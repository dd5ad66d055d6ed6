"""The PyTorch backend against the conformance suites."""

from __future__ import annotations

import pytest

from recurra.conformance import BackendSuite, GanSuite

pytestmark = pytest.mark.torch


class TestTorch(BackendSuite):
    name = "torch"


class TestGan(GanSuite):
    name = "torch"
