"""What the user chose in Prefect's settings, read without importing Prefect, which takes seconds.

The places and their order are Prefect's own (prefect/settings/sources.py): the environment, .env, prefect.toml,
pyproject.toml, and the active profile.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def prefect_choice(*names: str) -> str | None:
    """The setting of that path, such as `"api", "url"`; None where nobody chose it, or it was set to nothing."""
    variable = "_".join(("PREFECT", *names)).upper()
    places = (
        lambda: _variable(os.environ, variable),
        lambda: _variable(_dotenv(), variable),
        lambda: _at(_toml(Path("prefect.toml")), *names),
        lambda: _at(_toml(Path("pyproject.toml")), "tool", "prefect", *names),
        lambda: _at(_profile(), variable),
    )
    found = (place() for place in places)
    return next((value for value in found if value is not None), None) or None


def _profile() -> Mapping[str, Any]:
    """The active profile's settings; Prefect's own default profile where there is no other."""
    bundled = _toml(_bundled_profiles())
    path = _profiles_path()
    known = _toml(path) if path.is_file() else {}
    active = os.environ.get("PREFECT_PROFILE") or known.get("active")
    chosen = _mapping(known, "profiles", str(active))
    return chosen if chosen is not None else _mapping(bundled, "profiles", str(bundled.get("active"))) or {}


def _profiles_path() -> Path:
    chosen = (
        os.environ.get("PREFECT_PROFILES_PATH")
        or _dotenv().get("PREFECT_PROFILES_PATH")
        or _at(_toml(Path("prefect.toml")), "profiles_path")
        or _at(_toml(Path("pyproject.toml")), "tool", "prefect", "profiles_path")
    )
    if chosen:
        return Path(chosen)
    if home := os.environ.get("PREFECT_HOME"):
        return Path(home) / "profiles.toml"
    usual = Path("~/.prefect/profiles.toml").expanduser()
    return usual if usual.exists() else _bundled_profiles()


def _bundled_profiles() -> Path:
    found = find_spec("prefect")  # the spec of a top-level package is found without importing it
    return Path(found.origin if found and found.origin else "prefect").parent / "settings" / "profiles.toml"


def _dotenv() -> Mapping[str, str | None]:
    if not Path(".env").is_file():
        return {}
    from dotenv import dotenv_values  # Prefect requires it

    return dotenv_values(".env")


def _variable(variables: Mapping[str, str | None], name: str) -> str | None:
    """As pydantic-settings reads it: in capitals or not."""
    return variables.get(name) or next((value for key, value in variables.items() if key.upper() == name), None)


def _toml(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _mapping(value: Any, *names: str) -> Mapping[str, Any] | None:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else None


def _at(value: Any, *names: str) -> str | None:
    *path, last = names
    found = (_mapping(value, *path) or {}).get(last)
    return str(found).lower() if isinstance(found, (bool, int, float)) else found if isinstance(found, str) else None
