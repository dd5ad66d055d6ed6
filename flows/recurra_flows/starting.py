"""A new backend's package, from the template that comes with recurra."""

from __future__ import annotations

import importlib.util
import re
import tempfile
from importlib.metadata import packages_distributions, version
from pathlib import Path

from recurra.contract import CONTRACT
from recurra.errors import InputError
from recurra.registry import entries, normal
from recurra_flows.certifying import AUTHORS

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
OURS = {"recurra-jax"}
"""Distributions of this project that need not be installed."""
LICENSE = re.compile(r"[A-Za-z0-9.+() -]{1,80}")


def start(name: str, into: Path, author: str = "", license: str = "MIT") -> Path:
    """The new folder INTO/NAME, a package whose backend works; nothing of the template is run to make it.

    InputError where the name cannot be one or is taken, the folder is there, or copier is missing.
    """
    _check(name, author, license)
    folder = into / name
    if not into.is_dir():
        raise InputError(f"--into {into}: there is no such folder")
    if folder.exists() or folder.is_symlink():
        raise InputError(f"{folder}: it is there already; choose another name or another --into")
    if importlib.util.find_spec("copier") is None:
        raise InputError(f"a new plugin needs copier, which is not installed: {AUTHORS}")
    answers = {
        "name": name,
        "distribution": _distribution(name),
        "module": _module(name),
        "author": author,
        "license": license,
        "contract": CONTRACT,
        "recurra": version("recurra"),
    }
    _copy(answers, folder)
    return folder


def _distribution(name: str) -> str:
    return name if name.startswith("recurra-") else f"recurra-{name}"


def _module(name: str) -> str:
    return _distribution(name).replace("-", "_")


def _is_taken(name: str) -> bool:
    """Whether installing the package would put it in the place of another, of ours or of anybody's."""
    installed = {normal(name) for names in packages_distributions().values() for name in names}
    own = normal(_distribution(name))
    return importlib.util.find_spec(_module(name)) is not None or own in installed or own in OURS


def _check(name: str, author: str, license: str) -> None:
    if not NAME.fullmatch(name) or len(name) > 60:
        raise InputError(
            f"'{name}' cannot be a backend's name: expected small letters, digits and dashes, as in my-jax"
        )
    if name in {entry.name for entry in entries()}:
        raise InputError(f"'{name}' is the name of a backend that is installed; choose another")
    if _is_taken(name):
        raise InputError(f"'{name}': its package would be {_module(name)}, which there is already; choose another name")
    if not author.isprintable() or '"' in author or "\\" in author:
        raise InputError("--author: expected a name without quotes, backslashes and line breaks")
    if not LICENSE.fullmatch(license):
        raise InputError(f"--license {license}: expected an SPDX expression, as in MIT or Apache-2.0")


def _copy(answers: dict[str, str | int], folder: Path) -> None:
    import copier

    import recurra

    template = Path(recurra.__file__).parent / "template"
    # Whole or not at all.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as draft:
        copier.run_copy(str(template), draft, data=answers, defaults=True, unsafe=False, quiet=True)
        made = Path(draft) / "made"
        made.mkdir()
        for path in [path for path in Path(draft).iterdir() if path != made]:
            path.rename(made / path.name)
        made.rename(folder)
