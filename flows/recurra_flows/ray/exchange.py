"""A folder that all machines reach, by a path or by an fsspec URL, through which they hand artifacts to one another.

URL/STAGE/KEY/DIGEST/COPY/manifest.json + the artifact's files

Nothing that lies there is written again: who lays an artifact there has a folder of its own for it, whose manifest
comes last. Who fetches one checks every byte by it, and takes away a copy that is not whole, so that it is laid there
again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any
from uuid import uuid4

from recurra.errors import InputError, RecurraError
from recurra.store import Artifact, Store
from recurra_flows.workers import WorkerHinderedError

MANIFEST = "manifest.json"


class Exchange:
    """One such folder. An InputError where it cannot be one; a WorkerHinderedError where it fails later."""

    def __init__(self, url: str) -> None:
        self.url = url if "://" in url else str(Path(url).expanduser().absolute())
        self._laying: dict[str, Lock] = {}

    @property
    def shown(self) -> str:
        """Its URL without the user and the password that may be in it."""
        return re.sub(r"(?<=://)[^/]*@", "", self.url)

    def open(self) -> None:
        """Says what is wrong with the URL, and which package it lacks."""
        with self._failing():
            _ = self._opened

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        if self.url.startswith("memory:"):
            raise InputError(
                f"--shared {self.shown}: no other process sees it; name a folder or a URL that all nodes reach"
            )
        try:
            fs, root = url_to_fs(self.url)
        except ImportError as error:  # fsspec says which package
            raise InputError(f"--shared {self.shown}: {self._line(error)}, here and on every node") from None
        except ValueError as error:
            raise InputError(f"--shared {self.shown}: {self._line(error)}") from None
        return fs, root.rstrip("/")

    def push(self, artifact: Artifact) -> None:
        """Lays the artifact there, unless it is there. Of several threads with the same one, one does."""
        with self._failing():
            fs, place = self._opened[0], self._place(artifact.stage, artifact.key, artifact.digest)
            with self._laying.setdefault(place, Lock()):
                if any(self._is_whole(copy, artifact) for copy in self._copies(place)):
                    return
                copy = f"{place}/{uuid4().hex[:12]}"
                for name in [*artifact.files, MANIFEST]:
                    fs.makedirs(f"{copy}/{name}".rpartition("/")[0], exist_ok=True)
                    fs.put_file(str(artifact.file(name)), f"{copy}/{name}")

    def pull(self, store: Store, stage: str, key: str, digest: str, name: str = "") -> Artifact:
        """The artifact of that digest, in the store; a WorkerHinderedError where no copy of it is as it was."""
        found = store.find(stage, key)
        if found is not None and found.digest == digest:
            return found
        wrong = "no whole copy of it is there; run again"
        with self._failing():
            fs = self._opened[0]
            for copy in self._copies(self._place(stage, key, digest)):
                if (manifest := self._manifest(copy)) is None:
                    continue  # somebody is laying it there
                try:
                    return store.adopt(stage, key, digest, lambda at, m=manifest, c=copy: self._fetch(c, m, at), name)
                except RecurraError as error:
                    wrong = str(error)
                    with suppress(Exception):
                        fs.rm(copy, recursive=True)
        raise WorkerHinderedError(f"--shared {self.shown}, {stage}/{key}: {wrong}")

    def write(self, name: str, text: str) -> None:
        """A small file."""
        with self._failing():
            fs, root = self._opened
            fs.makedirs(root, exist_ok=True)
            fs.pipe_file(f"{root}/{name}", text.encode())

    def remove(self, name: str) -> None:
        """Takes a small file away."""
        with self._failing():
            fs, root = self._opened
            fs.rm_file(f"{root}/{name}")

    def local(self) -> Store:
        """This machine's own store for what passes through here."""
        home = Path(os.environ.get("RECURRA_HOME") or "~/.cache/recurra").expanduser().absolute()
        return Store(home / "cluster" / sha256(self.url.encode()).hexdigest()[:12] / "store")

    def _place(self, stage: str, key: str, digest: str) -> str:
        return f"{self._opened[1]}/{stage}/{key}/{digest[:32]}"

    def _copies(self, place: str) -> list[str]:
        """The folders of an artifact's copies, whole or not."""
        fs = self._opened[0]
        fs.invalidate_cache()  # others write there too
        try:
            found = fs.ls(place, detail=True)
        except FileNotFoundError:
            return []
        return sorted(each["name"].rstrip("/") for each in found if each["type"] == "directory")

    def _manifest(self, copy: str) -> bytes | None:
        """The copy's manifest; None where it is not there, or not all of it."""
        try:
            found = self._opened[0].cat_file(f"{copy}/{MANIFEST}")
            return found if isinstance(json.loads(found), dict) else None
        except (FileNotFoundError, ValueError):
            return None

    def _is_whole(self, copy: str, artifact: Artifact) -> bool:
        """Whether the copy has the artifact's files, by their names and sizes; who fetches them checks their bytes."""
        manifest = self._manifest(copy)
        if manifest is None or json.loads(manifest).get("files") != artifact.files:
            return False
        try:
            sizes = {name: self._opened[0].info(f"{copy}/{name}")["size"] for name in artifact.files}
        except FileNotFoundError:
            return False
        return all(sizes[name] == record["size"] for name, record in artifact.files.items())

    def _fetch(self, copy: str, manifest: bytes, folder: Path) -> None:
        names = _names(manifest)
        (folder / MANIFEST).write_bytes(manifest)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                self._opened[0].get_file(f"{copy}/{name}", str(folder / name))
            except FileNotFoundError:
                raise RecurraError(f"{name} is missing; run again") from None

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Says in one line of ours what a file system raises within the block: each has errors of its own."""
        try:
            yield
        except RecurraError:
            raise
        except Exception as error:
            line = f"--shared {self.shown}: {type(error).__name__}: {self._line(error)}"
            raise WorkerHinderedError(line) from error

    def _line(self, error: Exception) -> str:
        return " ".join(str(error).split())[:300].replace(self.url, self.shown)


def _names(manifest: bytes) -> list[str]:
    """The artifact's files; a RecurraError where a manifest that somebody else wrote names one outside its folder."""
    try:
        names = [PurePosixPath(name) for name in json.loads(manifest)["files"]]
    except (ValueError, KeyError, TypeError):
        raise RecurraError("what lies there is no artifact") from None
    if any(name.is_absolute() or ".." in name.parts for name in names):
        raise RecurraError("what lies there is no artifact of recurra's")
    return [str(name) for name in names]
