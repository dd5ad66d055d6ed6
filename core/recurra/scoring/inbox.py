"""What lies in an inbox now: a row for each sample, from names and times alone, in columns."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from recurra.errors import InputError
from recurra.readers.names import escaped, extension, is_ignored
from recurra.readers.reader import Kind
from recurra.readers.unreadable import is_of_the_machine
from recurra.scoring.schemas import LISTING

HIDDEN = ".recurra-aside"
"""A folder beside a refused file, in which it lies for a moment before it is removed."""
UNFINISHED = frozenset({".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp", ".temp"})
"""Of files that are still on their way, by the habits of browsers and copying programs; left alone, however old."""
_BLOCK = 65_536
_NO_FILE = "neither a file nor a folder, or a link to nothing"


@dataclass
class Inbox:
    """What lies below an inbox."""

    listing: pa.Table
    """`schemas.LISTING`, in no particular order; a path is there once."""
    unfinished: int = 0
    """Files whose names say that they are still being written."""
    unread: list[str] = field(default_factory=list)
    """Folders that could not be listed, with the reasons."""
    hidden: list[str] = field(default_factory=list)
    """Folders of the name HIDDEN, which a crash has left."""


@dataclass(frozen=True)
class _Folder:
    path: str
    linked: bool
    files: dict[str, os.stat_result]
    others: dict[str, os.stat_result]
    hidden: list[str]


def listed(inbox: Path, kind: Kind) -> Inbox:
    """All samples of that kind below `inbox`, and what can be none; hidden files are passed over.

    Links to folders are followed, each folder entered once. InputError where the inbox is no folder that can be read.
    """
    found, rows, blocks = Inbox(LISTING.empty_table()), _Rows(), []
    for folder in _walk(str(inbox), found):
        _add(rows, str(inbox), folder, kind, found)
        found.hidden += folder.hidden if not folder.linked else []
        if len(rows.columns["file"]) >= _BLOCK:
            blocks.append(rows.taken())
    found.listing = pa.Table.from_batches([*blocks, rows.taken()], LISTING)
    return found


def settled(listing: pa.Table, seconds: float, now_ns: int | None = None) -> np.ndarray:
    """[N] bool: nothing about the file has changed for so many seconds.

    A time that lies ahead by more than that was stamped by a clock that was wrong; it says nothing.
    """
    age = (time.time_ns() if now_ns is None else now_ns) - listing["ctime_ns"].to_numpy()
    return np.abs(age) >= int(seconds * 1e9)


class _Rows:
    """Columns that grow, and are taken away as a block before they are many."""

    def __init__(self) -> None:
        self.columns = self._empty()

    def add(self, *values: Any) -> None:
        for column, value in zip(self.columns.values(), values, strict=True):
            column.append(value)

    def taken(self) -> pa.RecordBatch:
        block = pa.RecordBatch.from_pydict(self.columns, LISTING)
        self.columns = self._empty()
        return block

    def _empty(self) -> dict[str, list[Any]]:
        return {name: [] for name in LISTING.names}


def _walk(root: str, found: Inbox) -> Iterator[_Folder]:
    """The folders below `root`: the real ones before those that links lead to, so that a file's path stays the same
    however many links are put beside it.
    """
    entered: set[tuple[int, int]] = set()
    real, linked = [("", False)], []
    while real or linked:
        path, through = real.pop() if real else linked.pop(0)
        try:
            here = Path(root, path).stat()
            if (here.st_dev, here.st_ino) in entered:
                continue
            entered.add((here.st_dev, here.st_ino))
            folder, below, links = _scanned(root, path, through)
        except OSError as error:
            _unlisted(error, root, path, found)
            continue
        yield folder
        real += [(name, through) for name in sorted(below, reverse=True)]
        linked += [(name, True) for name in sorted(links)]


def _unlisted(error: OSError, root: str, path: str, found: Inbox) -> None:
    if not path:
        wrong = error.strerror or str(error)
        raise InputError(f"{escaped(root)}: cannot be read as an inbox ({wrong}); name a folder") from None
    if is_of_the_machine(error):
        raise error
    if not isinstance(error, FileNotFoundError):  # a folder that vanished is no matter
        found.unread.append(f"{escaped(path)}: {error.strerror}")


def _scanned(root: str, path: str, linked: bool) -> tuple[_Folder, list[str], list[str]]:
    """A folder's files and others; the paths of the folders in it, and of the links to folders."""
    folder, below, links = _Folder(path, linked, {}, {}, []), [], []
    with os.scandir(f"{root}/{path}" if path else root) as entries:
        for entry in entries:
            if is_ignored(entry.name):
                if entry.name == HIDDEN:
                    folder.hidden.append(f"{path}/{HIDDEN}")
                continue
            status = _status(entry)
            if status is None:
                continue
            if stat.S_ISDIR(status.st_mode):
                (links if entry.is_symlink() else below).append(f"{path}/{entry.name}" if path else entry.name)
            else:
                (folder.files if stat.S_ISREG(status.st_mode) else folder.others)[entry.name] = status
    return folder, below, links


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Of what a link leads to; of the link itself where that is nowhere; None for what has vanished."""
    try:
        return entry.stat()
    except OSError as error:
        if is_of_the_machine(error):
            raise
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def _add(rows: _Rows, root: str, folder: _Folder, kind: Kind, found: Inbox) -> None:
    from recurra.readers import decode

    samples: dict[str, os.stat_result] = {}
    for name, status in folder.files.items():
        if extension(name) in decode.EXTENSIONS or extension(name) == ".npy":
            samples[name] = status
        elif extension(name) in UNFINISHED:
            found.unfinished += 1
        else:
            reason = f"not an image{' or clip' if kind == 'clip' else ''}, by its name"
            _put(rows, folder, name, [status], None, reason)
    for name, status in folder.others.items():
        _put(rows, folder, name, [status], None, _NO_FILE)
    if kind == "image":
        for name, status in samples.items():
            _put(rows, folder, name, [status], None, None)
    else:
        _add_clips(rows, root, folder, samples)


def _add_clips(rows: _Rows, root: str, folder: _Folder, samples: dict[str, os.stat_result]) -> None:
    from recurra.readers.files import Frames
    from recurra.readers.tree import Folder, clips_in

    names = tuple(sorted(samples))
    for entry in clips_in(root, Folder(folder.path, (), names), is_top=not folder.path):
        if isinstance(entry, Frames):
            _put(rows, folder, "", [samples[name] for name in entry.names], [*map(escaped, entry.names)], None)
        else:
            name = entry.rpartition("/")[2]
            _put(rows, folder, name, [samples[name]], None, None)


def _put(
    rows: _Rows,
    folder: _Folder,
    name: str,
    parts: list[os.stat_result],
    frames: list[str] | None,
    reason: str | None,
) -> None:
    path = f"{folder.path}/{name}" if folder.path and name else folder.path or name
    rows.add(escaped(path), *identity(parts), frames, folder.linked, reason)


def identity(parts: list[os.stat_result]) -> tuple[int, int, int]:
    """(bytes, the latest modification, the latest change) of one file, or of the frames of a clip; both in ns."""
    return (
        sum(part.st_size for part in parts),
        max(part.st_mtime_ns for part in parts),
        max(part.st_ctime_ns for part in parts),
    )
