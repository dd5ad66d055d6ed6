"""Sets aside what cannot be read: out of the inbox, to the same path in another folder, with the reason beside it."""

from __future__ import annotations

import errno
import filecmp
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from recurra.durable import fsync_folder, read_json, write_json
from recurra.readers.names import unescaped
from recurra.scoring.inbox import HIDDEN, identity
from recurra.scoring.part_files import made, placed

REASON = ".reason.json"
LONGEST = 200
"""Bytes of a refused file's name; of the 255 that a name may have, the reason's takes some more while it is written."""
_IDENTITY = ("file", "size", "mtime_ns")


class Aside:
    """Moves refused files from `inbox` to `folder`; `scratch` is where it copies to from another file system.

    What it does can be cut anywhere and done again: the reason is written first and names the place; then the file is
    renamed, or copied and renamed and the original removed. Whatever fails, the file stays, and the pass goes on.
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
            return f"it cannot be moved ({error.strerror or error})"
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
        for place in _places(_fitting(self.folder / source.relative_to(self.inbox))):
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
                place.symlink_to(_led_to(source, source))  # from wherever it lies now
        elif not os.path.lexists(place) and self._renamed(source, place, row):
            return
        # There is a copy now, of this try or of an earlier one.
        fsync_folder(place.parent)
        self._removed(source, place, row)

    def _renamed(self, source: Path, place: Path, row: Mapping[str, Any]) -> bool:
        """Whether it could be renamed; to another file system it is copied."""
        try:
            source.rename(place)
        except OSError as error:
            if error.errno != errno.EXDEV or source.is_dir():
                raise
            copy = self.scratch / "copied"
            shutil.copy2(source, copy)
            placed(copy, place)
            return False
        fsync_folder(place.parent)
        if not place.is_dir() and not self._is(place, row):  # another file had just come to that name
            put_back(place, source)
            _reason_of(place).unlink()
        fsync_folder(source.parent)
        return True

    def _removed(self, source: Path, place: Path, row: Mapping[str, Any]) -> None:
        """Removes the original of a copy. Nothing can look at a file and remove it at once, so it is hidden first: a
        file that had just come to that name is put back.
        """
        hidden = source.parent / HIDDEN / source.name
        made(hidden.parent)
        try:
            source.rename(hidden)
            if self._is_copied(hidden, source, place, row):
                hidden.unlink()
            else:
                put_back(hidden, source)
        finally:
            with suppress(OSError):  # something may lie there still
                hidden.parent.rmdir()
        fsync_folder(source.parent)

    def _is_copied(self, hidden: Path, source: Path, place: Path, row: Mapping[str, Any]) -> bool:
        if place.is_symlink():
            return hidden.is_symlink() and _led_to(hidden, source) == place.readlink()
        return self._is(hidden, row)


def put_back(path: Path, place: Path) -> None:
    """Gives a file its name again. FileExistsError where another has it by now."""
    try:
        place.hardlink_to(path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(place):
            raise
        path.rename(place)
    else:
        path.unlink()


def uncover(folder: Path) -> None:
    """Puts back what a crash left hidden in this folder, unless another file has its name by now."""
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(FileExistsError):
                put_back(path, folder.parent / path.name)
        folder.rmdir()


def _led_to(link: Path, source: Path) -> Path:
    """Where a link leads that was made as `source`."""
    return Path(source.parent, link.readlink())


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError:
        return path.lstat()  # a link to nothing, or to itself


def _fitting(path: Path) -> Path:
    """The path; a name that is too long is cut, and told from others by its digest."""
    name = os.fsencode(path.name)
    if len(name) <= LONGEST:
        return path
    kept, suffix = name[: LONGEST - 40].decode(errors="ignore"), path.suffix if len(path.suffix) < 8 else ""
    return path.with_name(f"{kept}~{sha256(name).hexdigest()[:16]}{suffix}")


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
        return other.is_symlink() and _led_to(one, one) == other.readlink()
    return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)
