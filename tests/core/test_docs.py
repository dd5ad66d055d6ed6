"""The documents say what is so."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import yaml

from recurra.config import load_experiment

ROOT = Path(__file__).parents[2]


def test_the_page_of_the_experiment_file_is_made_from_its_fields() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "experiment_file.py"))
    assert made["PAGE"].read_text(encoding="utf-8") == made["page"](), "run: python docs/experiment_file.py"


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_an_experiment_that_a_page_shows_is_the_one_that_we_ship(page: Path) -> None:
    for name, shown in re.findall(r"```yaml\n# (flows/\S+)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        assert yaml.safe_load(shown) == yaml.safe_load((ROOT / name).read_text(encoding="utf-8")), name


def test_the_page_of_the_gan_shows_one() -> None:
    assert "```yaml\n# flows/experiments/digits-gan.yaml\n" in (ROOT / "docs" / "gan.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted((ROOT / "flows" / "experiments").glob("*.yaml")), ids=lambda path: path.stem)
def test_an_experiment_that_we_ship_is_valid(path: Path) -> None:
    assert load_experiment(path).name == path.stem
