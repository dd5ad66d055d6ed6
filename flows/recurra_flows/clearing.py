"""Removes from the store what no run refers to, and what dead or damaged work has left behind."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from recurra.durable import read_json
from recurra.home import Home
from recurra.run import run_folders
from recurra.store import Artifact


def clear(home: Home, days: float, dry_run: bool = False) -> list[dict[str, Any]]:
    """What was removed (with `dry_run`: would be): `what`, `why`, `size` in bytes each.

    Artifacts that some run's record names are kept, however old; so is everything younger than `days`, and everything
    that a running process holds.
    """
    before, gone = time.time() - days * 86_400, []
    kept = _referred(home)
    for artifact in list(home.store.artifacts()):
        if (artifact.stage, artifact.key) not in kept and _made(artifact) < before:
            gone.append({"what": str(artifact.path), "why": "no run refers to it", "size": _size(artifact.path)})
            if not dry_run:
                home.store.remove(artifact)
    for path, why, lock in _leftovers(home):
        if path.stat().st_mtime < before and _free(home, lock):
            gone.append({"what": str(path), "why": why, "size": _size(path)})
            if not dry_run:
                _remove(path)
    return gone


def _referred(home: Home) -> set[tuple[str, str]]:
    """(stage, key) of every artifact that a run's record names."""
    found = set()
    for folder in run_folders(home):
        try:
            stages = read_json(folder / "run.json")["stages"]
            found |= {(stage, done["key"]) for stage, done in stages.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # a record that cannot be read refers to nothing
    return found


def _made(artifact: Artifact) -> float:
    if artifact.created:
        return datetime.fromisoformat(artifact.created).replace(tzinfo=UTC).timestamp()
    return artifact.path.stat().st_mtime


def _leftovers(home: Home) -> Iterator[tuple[Path, str, str]]:
    """(path, why, the name of the lock that its owner would hold)."""
    root = home.store.root
    for path in sorted((root / "partial").glob("*")):
        yield path, "checkpoints of a training that was not finished", path.name
    for path in sorted((root / "tmp").glob("*")):
        yield path, "left by a process that died", "-".join(path.name.split("-")[:2])
    for path in sorted((root / "damaged").glob("*")):
        yield path, "a damaged artifact that was set aside", ""


def _free(home: Home, lock: str) -> bool:
    path = home.store.root / "locks" / f"{lock}.lock"
    if not lock or not path.exists():
        return True
    try:
        with FileLock(path, timeout=0):
            return True
    except Timeout:
        return False


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
