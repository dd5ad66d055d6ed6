"""The PyTorch backend against the conformance suite."""

from __future__ import annotations

import pytest

from recurra.conformance import BackendSuite

pytestmark = pytest.mark.torch


class TestTorch(BackendSuite):
    name = "torch"
