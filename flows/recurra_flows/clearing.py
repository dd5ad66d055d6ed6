"""Removes from the store what no run refers to, and what dead or damaged work has left behind."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from recurra.errors import InputError, RecurraError
from recurra.home import Home
from recurra.run import Run, run_folders
from recurra.store import Artifact
from recurra_flows.kinds import PLANNED


def clear(home: Home, days: float, dry_run: bool = False) -> list[dict[str, Any]]:
    """What was removed (with `dry_run`: would be): `what`, `why`, `size` in bytes each.

    Artifacts that some run's record names are kept, however old; so is everything younger than `days`, and everything
    that a running process holds. A RecurraError, before anything is removed, where a run's record cannot be read.
    """
    before, gone = time.time() - days * 86_400, []
    kept = _referred(home)
    for artifact in list(home.store.artifacts()):
        with suppress(FileNotFoundError):  # another process was first
            if (artifact.stage, artifact.key) not in kept and _made(artifact) < before:
                row = {"what": str(artifact.path), "why": "no run refers to it", "size": _size(artifact.path)}
                if not dry_run:
                    home.store.remove(artifact)
                gone.append(row)
    for path, why, name in _leftovers(home):
        with suppress(FileNotFoundError), _held(home, name) as free:
            if free and path.stat().st_mtime < before:
                row = {"what": str(path), "why": why, "size": _size(path)}
                if not dry_run:
                    _remove(path)
                gone.append(row)
    return gone


def _referred(home: Home) -> set[tuple[str, str]]:
    """(stage, key) of every artifact that the record of a run, a study, a comparison or a sweep names."""
    found = set()
    for kind in PLANNED:
        for planned in kind.all(home):
            found |= {planned.place(role) for role in planned.record["stages"]}
    for folder in run_folders(home):
        try:
            run = Run.open(home, str(folder))
            found |= {run.place(role) for role in run.record["stages"]}
        except InputError as error:
            if not folder.exists():
                continue
            raise RecurraError(f"{error}; mend or remove the run, so that what it needs is known") from None
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


@contextmanager
def _held(home: Home, name: str) -> Iterator[bool]:
    """Holds the lock of that name; within the block, whether nobody else holds it. A nameless one is free."""
    locks = home.store.root / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{name}.lock")
    try:
        if name:
            lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    total = 0
    for file in path.rglob("*"):
        with suppress(FileNotFoundError):
            total += file.stat().st_size if file.is_file() else 0
    return total


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
