"""The documents say what is so."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from recurra.config import load_experiment

ROOT = Path(__file__).parents[2]


def test_the_page_of_the_experiment_file_is_made_from_its_fields() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "experiment_file.py"))
    assert made["PAGE"].read_text(encoding="utf-8") == made["page"](), "run: python docs/experiment_file.py"


@pytest.mark.parametrize("path", sorted((ROOT / "flows" / "experiments").glob("*.yaml")), ids=lambda path: path.stem)
def test_an_experiment_that_we_ship_is_valid(path: Path) -> None:
    assert load_experiment(path).name == path.stem
