"""The documents say what is so."""

from __future__ import annotations

import doctest
import re
import runpy
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from recurra import gan_weights, optimiser, weights
from recurra.certificate import GROUPS
from recurra.config import load_experiment
from recurra.contract import CAPABILITIES, CONTRACT

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


def blocks(page: str, prefix: str) -> dict[str, str]:
    """Path -> text of the blocks of a page that begin with a comment that names a file below `prefix`."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    shown = re.findall(rf"^```\w*\n# ({re.escape(prefix)}\S+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return dict(shown)


@pytest.mark.parametrize("prefix", ["examples/", "plugins/"])
def test_a_plugin_that_the_page_shows_is_the_one_that_we_ship(prefix: str) -> None:
    found = blocks("plugins.md", prefix)
    assert found
    for name, text in found.items():
        assert text == (ROOT / name).read_text(encoding="utf-8"), name


def test_the_backend_that_the_page_reads_is_the_one_that_the_template_makes() -> None:
    package = ROOT / "core" / "recurra" / "template" / "package" / "src" / "[[module]]"
    found = blocks("example-backend.md", "recurra_my_backend/")
    ours = {path.name.removesuffix(".jinja"): path.read_text(encoding="utf-8") for path in package.iterdir()}
    del ours["__init__.py"]
    filled = {
        name: text.replace("[[ name ]]", "my-backend").replace("[[ contract ]]", "1") for name, text in ours.items()
    }
    assert {name.removeprefix("recurra_my_backend/"): text for name, text in found.items()} == filled


def test_the_figures_of_the_weights_are_right() -> None:
    page = ROOT / "docs" / "canonical-weights.md"
    assert doctest.testfile(str(page), module_relative=False, encoding="utf-8").failed == 0


@pytest.mark.parametrize("module", [weights, optimiser, gan_weights], ids=lambda module: module.__name__)
def test_the_page_of_the_weights_has_every_name_and_equation_that_the_modules_have(module: ModuleType) -> None:
    page = " ".join((ROOT / "docs" / "canonical-weights.md").read_text(encoding="utf-8").split())
    told = [
        line for line in (module.__doc__ or "").splitlines() if line.startswith(("    ", "| ")) and "---" not in line
    ]
    assert told
    assert [line for line in told if " ".join(line.split()) not in page] == []


def test_the_page_of_backends_has_every_capability_and_verdict() -> None:
    page = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
    assert [name for name in CAPABILITIES if f"| `{name}` |" not in page] == []
    assert f"This recurra has contract {CONTRACT}." in page
    assert [group for group in GROUPS if f"| {group} |" not in page] == []


@pytest.mark.parametrize("page", ["backends", "canonical-weights", "example-backend", "plugins"])
def test_a_link_to_another_page_or_heading_leads_somewhere(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    for name, heading in re.findall(r"\]\(([\w-]*(?:\.md)?)(?:#([\w-]+))?\)", text):
        headings = re.findall(r"^#+ (.*)$", (ROOT / "docs" / (name or f"{page}.md")).read_text(encoding="utf-8"), re.M)
        slugs = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings}
        assert not heading or heading in slugs, f"{name}#{heading}"
