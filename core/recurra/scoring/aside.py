"""Sets aside what cannot be read: out of the inbox, to the same path in another folder, with the reason beside it."""

from __future__ import annotations

import errno
import filecmp
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra.durable import fsync_folder, read_json, write_json
from recurra.readers.names import unescaped
from recurra.scoring.inbox import identity
from recurra.scoring.part_files import made, placed

REASON = ".reason.json"
_IDENTITY = ("file", "size", "mtime_ns")


class Aside:
    """Moves refused files from `inbox` to `folder`; `scratch` is where it copies to from another file system.

    What it does can be cut anywhere and done again: the reason is written first and names the place; then the file is
    renamed, or copied and renamed and the original removed.
    """

    def __init__(self, inbox: Path, folder: Path, scratch: Path) -> None:
        self.inbox, self.folder, self.scratch = inbox, folder, scratch

    def put(self, row: Mapping[str, Any], frames: Sequence[str] | None = None, linked: bool = False) -> str:
        """Moves what a row of the ledger is of: a file, or a folder of these frames. Why it stays, or an empty string.

        Nothing is moved that has changed since or has gone; nor out of a folder that a link in the inbox leads to, as
        that belongs to somebody else.
        """
        source = self.inbox / unescaped(row["file"])
        if linked:
            return "a link to its folder leads out of the inbox"
        try:
            if not self._is(source, row, frames):
                return ""
            if frames is not None and {each.name for each in source.iterdir()} != {*map(unescaped, frames)}:
                return "its folder holds more than its frames"
            self._moved(source, self._place(source, row), row)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EXDEV, errno.ENOTDIR, errno.EEXIST):
                raise
            return f"it cannot be moved ({error.strerror})"
        return ""

    def _is(self, path: Path, row: Mapping[str, Any], frames: Sequence[str] | None = None) -> bool:
        """Whether the file, or the frames in the folder, are those of the row."""
        try:
            parts = [_status(path)] if frames is None else [(path / unescaped(name)).stat() for name in frames]
        except FileNotFoundError:
            return False
        return identity(parts)[:2] == (row["size"], row["mtime_ns"])

    def _place(self, source: Path, row: Mapping[str, Any]) -> Path:
        """Where the file goes: a free place, or the one that it was on its way to."""
        for place in _places(self.folder / source.relative_to(self.inbox)):
            reason = _reason_of(place)
            if not os.path.lexists(place) and not os.path.lexists(reason):
                made(place.parent)
                write_json(reason, dict(row))
                return place
            if _same(reason, row) and (not os.path.lexists(place) or _equal(source, place)):
                return place
        raise AssertionError("there is always another name")

    def _moved(self, source: Path, place: Path, row: Mapping[str, Any]) -> None:
        if source.is_symlink():
            if not place.is_symlink():
                place.symlink_to(Path(source.parent, source.readlink()))  # where it led from the inbox
            fsync_folder(place.parent)
            source.unlink()
        elif os.path.lexists(place):  # the copy of an earlier try
            source.unlink()
        else:
            self._renamed(source, place, row)
        fsync_folder(source.parent)

    def _renamed(self, source: Path, place: Path, row: Mapping[str, Any]) -> None:
        try:
            source.rename(place)
        except OSError as error:
            if error.errno != errno.EXDEV or source.is_dir():
                raise
            copy = self.scratch / "copied"
            shutil.copy2(source, copy)
            placed(copy, place)
            if self._is(source, row):
                source.unlink()
            return
        fsync_folder(place.parent)
        if not place.is_dir() and not self._is(place, row):
            # Another file had just come to that name; it has not been scored. (A link fails where there is a third.)
            source.hardlink_to(place)
            place.unlink()


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError:
        return path.lstat()  # a link to nothing, or to itself


def _places(path: Path) -> Iterator[Path]:
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.stem}~{number}{path.suffix}")
        number += 1


def _reason_of(place: Path) -> Path:
    return place.with_name(f"{place.name}{REASON}")


def _same(reason: Path, row: Mapping[str, Any]) -> bool:
    try:
        told = read_json(reason)
        return all(told[name] == row[name] for name in _IDENTITY)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _equal(one: Path, other: Path) -> bool:
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink()
    return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)
