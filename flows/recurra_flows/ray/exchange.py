"""A folder that all machines reach, by a path or by an fsspec URL, through which they hand artifacts to one another.

URL/STAGE/KEY/DIGEST/manifest.json + the artifact's files

What lies there is content-addressed: who writes the same artifact writes the same bytes. The manifest comes last, and
who fetches an artifact checks every byte by it.
"""

from __future__ import annotations

import json
import os
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from recurra.errors import InputError, RecurraError
from recurra.store import Artifact, Store

MANIFEST = "manifest.json"


class Exchange:
    """One such folder."""

    def __init__(self, url: str) -> None:
        self.url = url if "://" in url else str(Path(url).expanduser().absolute())

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        if self.url.startswith("memory:"):
            raise InputError(
                f"--shared {self.url}: no other process sees it; name a folder or a URL that all nodes reach"
            )
        try:
            return url_to_fs(self.url)
        except ImportError as error:  # fsspec says which package
            raise InputError(f"--shared {self.url}: {' '.join(str(error).split())}, here and on every node") from None
        except ValueError as error:
            raise InputError(f"--shared {self.url}: {' '.join(str(error).split())}") from None

    def push(self, artifact: Artifact) -> None:
        """Lays the artifact there, unless it is there."""
        fs, _ = self._opened
        place = self._place(artifact.stage, artifact.key, artifact.digest)
        if fs.exists(f"{place}/{MANIFEST}"):
            return
        for name in [*artifact.files, MANIFEST]:
            fs.makedirs(f"{place}/{name}".rpartition("/")[0], exist_ok=True)
            fs.put_file(str(artifact.file(name)), f"{place}/{name}")

    def pull(self, store: Store, stage: str, key: str, digest: str, name: str = "") -> Artifact:
        """The artifact of that digest, in the store; a RecurraError where it is not here or not as it was."""
        fs, _ = self._opened
        place = self._place(stage, key, digest)

        def fetch(folder: Path) -> None:
            try:
                fs.get_file(f"{place}/{MANIFEST}", str(folder / MANIFEST))
            except FileNotFoundError:
                raise RecurraError(f"{stage}: its artifact {key} is gone from {self.url}; run again") from None
            for file in _names(folder / MANIFEST):
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                fs.get_file(f"{place}/{file}", str(folder / file))

        return store.adopt(stage, key, digest, fetch, name)

    def write(self, name: str, text: str) -> None:
        """A small file; of who may not, the system's own error."""
        fs, root = self._opened
        fs.makedirs(root, exist_ok=True)
        fs.pipe_file(f"{root}/{name}", text.encode())

    def remove(self, name: str) -> None:
        """Takes a small file away."""
        fs, root = self._opened
        fs.rm_file(f"{root}/{name}")

    def local(self) -> Store:
        """This machine's own store for what passes through here."""
        home = Path(os.environ.get("RECURRA_HOME") or "~/.cache/recurra").expanduser().absolute()
        return Store(home / "cluster" / sha256(self.url.encode()).hexdigest()[:12] / "store")

    def _place(self, stage: str, key: str, digest: str) -> str:
        return f"{self._opened[1].rstrip('/')}/{stage}/{key}/{digest[:32]}"


def _names(manifest: Path) -> list[str]:
    """The artifact's files; a RecurraError where a manifest that somebody else wrote names one outside its folder."""
    try:
        names = [PurePosixPath(name) for name in json.loads(manifest.read_bytes())["files"]]
    except (ValueError, KeyError, TypeError):
        raise RecurraError(f"{manifest.parent.name}: what lies in the exchange is no artifact") from None
    if any(name.is_absolute() or ".." in name.parts for name in names):
        raise RecurraError(f"{manifest.parent.name}: what lies in the exchange is no artifact of recurra's")
    return [str(name) for name in names]
