"""Makes a failed assert of the suites say what was compared, as in a test module. Imported before them."""

from __future__ import annotations

import pytest

SUITES = (
    "diagnoses",
    "gan",
    "gan_subjects",
    "gan_training",
    "gan_updates",
    "networks",
    "parallel",
    "promises",
    "suite",
    "training",
)
pytest.register_assert_rewrite(*(f"recurra.conformance.{suite}" for suite in SUITES))
