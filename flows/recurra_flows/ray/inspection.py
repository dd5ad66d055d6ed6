"""What a node is asked before anything runs there. This file alone is sent to it: it may have no recurra."""

from __future__ import annotations

import fcntl
import hashlib
import platform
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NOT_INSTALLED = "not installed"


def facts(backends: list[str]) -> dict[str, str]:
    """Name -> version, of what has to be the same on all machines: Python, recurra, the backends."""
    found = {"Python": ".".join(platform.python_version_tuple()[:2])}
    try:
        found["recurra"] = version("recurra")
    except PackageNotFoundError:
        return found
    from recurra.registry import entry_named

    for name in backends:
        entry = entry_named(name)
        if entry is not None and not entry.problem:
            found |= entry.versions
        else:
            found[f"backend {name}"] = entry.problem if entry else NOT_INSTALLED
    return found


def code(backends: list[str]) -> dict[str, str]:
    """Name -> the first digits of a digest of the source: one version may have several codes, in checkouts."""
    try:
        from recurra.registry import entry_named
    except ImportError:
        return {}
    used = {entry.name: entry.module.partition(".")[0] for entry in map(entry_named, backends) if entry is not None}
    return {"recurra's code": _digest("recurra", "recurra_flows")} | {
        f"code of backend {name}": _digest(package) for name, package in used.items()
    }


def difference(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """What is not the same there, in words; empty where all is."""
    differing = [
        f"{name} {theirs.get(name, NOT_INSTALLED)} there, {ours[name]} here"
        for name in ours
        if theirs.get(name) != ours[name]
    ]
    return "; ".join(differing)


def _digest(*packages: str) -> str:
    digest = hashlib.sha256()
    for package in packages:
        spec = find_spec(package)
        folders = list(spec.submodule_search_locations or ()) if spec else []
        files = [path for folder in folders for path in sorted(Path(folder).rglob("*.py"))]
        if spec and spec.origin and not folders:
            files = [Path(spec.origin)]
        for path in files:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:8]


def reach(folder: str | None, url: str | None, name: str, text: str, answer: str) -> str:
    """What keeps this node from reading the file of that name and writing one beside it; empty where nothing does.

    Who asks has the file of a folder locked, and this node has to be kept waiting for it.
    """
    try:
        if url is None:
            assert folder is not None
            return _reach_folder(Path(folder), name, text, answer)
        fs, root = _opened(url)
        if fs.cat_file(f"{root}/{name}") != text.encode():
            return "another file is there"
        fs.pipe_file(f"{root}/{answer}", text.encode())
    except FileNotFoundError:
        return "it does not see what was just written there"
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return ""


def _reach_folder(folder: Path, name: str, text: str, answer: str) -> str:
    with (folder / name).open("r+") as file:  # NFS locks for itself alone what is open for writing
        if file.read() != text:
            return "another file is there"
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return "locks (flock) that are held elsewhere are not heeded, so two nodes could make one artifact at once"
    (folder / answer).write_text(text)
    return ""


def _opened(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    fs, root = url_to_fs(url)
    return fs, root.rstrip("/")


def inspected(backends: list[str], folder: str | None, url: str | None, name: str, text: str, answer: str) -> Any:
    """All of it: {"facts": {...}, "reach": ...}."""
    return {"facts": facts(backends) | code(backends), "reach": reach(folder, url, name, text, answer)}
