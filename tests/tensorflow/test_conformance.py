"""The TensorFlow backend against the conformance suite."""

from __future__ import annotations

import pytest

from recurra.conformance import BackendSuite, GanSuite

pytestmark = pytest.mark.tensorflow


class TestTensorflow(BackendSuite):
    name = "tensorflow"


class TestGan(GanSuite):
    name = "tensorflow"
