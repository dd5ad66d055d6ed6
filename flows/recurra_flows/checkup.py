"""What `recurra doctor` finds out: what is installed, which devices there are, what is missing and how to mend it."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from recurra.errors import RecurraError
from recurra.home import Home
from recurra.progress import Silent
from recurra.registry import Entry, entries
from recurra_flows import api
from recurra_flows.workers import run_worker

LITTLE = 2 * 1000**3
"""Bytes of free space below which a run may fail."""
REMOTE = {"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "lustre", "ceph", "glusterfs", "afs"}
"""File systems whose locks are another machine's."""


def checkup(home: Home) -> dict[str, Any]:
    """Everything, with `ready` (whether a run is possible) and `problems`: what is wrong, and what mends it."""
    backends = [_backend(entry) for entry in entries()]
    place, prefect = _home(home), _prefect(home)
    problems = [
        {"what": part["problem"], "mend": part["mend"]} for part in (*backends, place, prefect) if part["problem"]
    ]
    any_backend = any(backend["usable"] for backend in backends)
    if not any_backend:
        mend = 'pip install "recurra[torch]" or pip install "recurra[tensorflow]"'
        problems.insert(0, {"what": "no backend can be used", "mend": mend})
    return {
        "recurra": version("recurra"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "backends": backends,
        "home": place,
        "prefect": prefect,
        "ready": any_backend and place["usable"] and prefect["usable"],
        "problems": problems,
    }


def _backend(entry: Entry) -> dict[str, Any]:
    """A backend's state; its framework is imported in a worker process, and only there."""
    state: dict[str, Any] = {
        "name": entry.name,
        "versions": dict(entry.versions),
        "usable": False,
        "devices": [],
        "capabilities": [],
        "problem": f"backend {entry.name}: {entry.problem}" if entry.problem else "",
        "mend": entry.remedy,
    }
    if entry.problem:
        return state
    try:
        with tempfile.TemporaryDirectory() as scratch:
            answer = run_worker("devices", {"backend": entry.name}, Silent(), Path(scratch) / "log")
    except RecurraError as error:
        mend = f"pip install --force-reinstall {' '.join(entry.requirements) or entry.distribution}"
        return {**state, "problem": f"backend {entry.name}: {error}", "mend": mend}
    return {**state, "usable": True, **answer}


def _home(home: Home) -> dict[str, Any]:
    """Whether runs can be kept there. Locks need a local file system."""
    existing = next(path for path in (home.path, *home.path.parents) if path.exists())
    free, kind = shutil.disk_usage(existing).free, _filesystem(existing)
    usable = existing.is_dir() and os.access(existing, os.W_OK)
    problem = mend = ""
    if not existing.is_dir():
        problem, mend = f"{existing} is no folder", "set RECURRA_HOME to a folder of yours"
    elif not usable:
        problem, mend = f"{existing} cannot be written to", "set RECURRA_HOME to a folder of yours"
    elif kind in REMOTE:
        problem, mend = f"{existing} is on {kind}: locks may not hold", "set RECURRA_HOME to a folder on a local disk"
    elif free < LITTLE:
        problem, mend = f"only {free / 1000**3:.1f} GB are free in {existing}", "recurra cache gc --days 0"
    found = {"path": str(home.path), "usable": usable, "free": free, "filesystem": kind}
    return {**found, "problem": problem, "mend": mend}


def _filesystem(path: Path) -> str:
    import psutil

    mounts = sorted(psutil.disk_partitions(all=True), key=lambda mount: len(mount.mountpoint), reverse=True)
    place = path.resolve()
    return next((mount.fstype for mount in mounts if place.is_relative_to(mount.mountpoint)), "unknown")


def _prefect(home: Home) -> dict[str, Any]:
    """Which Prefect there is and which API a run would use."""
    state: dict[str, Any] = {"version": None, "api": None, "home": None, "usable": False, "problem": ""}
    state["mend"] = "pip install recurra"
    try:
        state["version"] = version("prefect")
    except PackageNotFoundError:
        return {**state, "problem": "Prefect is not installed"}
    api.settle(home)
    url = api.chosen_url()
    state |= {"api": url or "a server of the run's own", "home": str(api.prefect_home())}
    if url and not api.answers(url):
        return {
            **state,
            "problem": f"the Prefect API {url} does not answer",
            "mend": "prefect server start, or unset PREFECT_API_URL",
        }
    return {**state, "usable": True}
