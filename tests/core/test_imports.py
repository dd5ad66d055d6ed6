"""Imports run one way: recurra <- recurra_torch, recurra_tensorflow, recurra_flows; and what is heavy comes late."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRAMEWORKS = {"torch", "tensorflow", "keras", "jax"}
MAY_NOT = {
    "core/recurra": {*FRAMEWORKS, "prefect", "recurra_torch", "recurra_tensorflow", "recurra_flows"},
    "plugins/recurra_torch": {"tensorflow", "keras", "prefect", "recurra_flows", "recurra_tensorflow"},
    "plugins/recurra_tensorflow": {"torch", "prefect", "recurra_flows", "recurra_torch"},
    "plugins/recurra-jax/src/recurra_jax": {"torch", "tensorflow", "keras", "prefect", "recurra_flows"},
    "plugins/recurra_tensorboard": {*FRAMEWORKS, "prefect", "recurra_flows"},
    "flows/recurra_flows": {*FRAMEWORKS, "recurra_torch", "recurra_tensorflow"},
}


def imported(module: Path) -> set[str]:
    """The top-level packages that a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("package", MAY_NOT)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    wrong = {
        str(module.relative_to(ROOT)): sorted(imported(module) & MAY_NOT[package])
        for module in (ROOT / package).rglob("*.py")
        if imported(module) & MAY_NOT[package]
    }
    assert wrong == {}


def modules_after(code: str) -> set[str]:
    """The top-level modules of a fresh interpreter that ran the code."""
    report = "import sys; print(' '.join({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", f"{code}; {report}"], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import recurra",
        "from recurra.registry import entries; entries()",
        "from recurra.config import load_experiment",
        "import recurra_torch.plugin, recurra_tensorflow.plugin, recurra_jax.plugin, recurra_tensorboard.plugin",
        "import recurra_flows.cli",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str) -> None:
    heavy = {*FRAMEWORKS, "prefect", "pandas", "pyarrow", "sklearn", "matplotlib", "PIL"}
    assert modules_after(code) & heavy == set()


def test_every_public_name_is_there() -> None:
    import recurra

    assert all(getattr(recurra, name) is not None for name in recurra.__all__)
