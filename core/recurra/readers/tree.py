"""What lies below a folder, told from names alone: images, clips, and what is neither."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from recurra.readers import decode
from recurra.readers.files import Entry, Frames
from recurra.readers.names import escaped, extension, is_ignored, natural
from recurra.readers.reader import Kind, Refused
from recurra.readers.unreadable import UnreadableError, is_of_the_machine

_ALONE = frozenset({".gif", ".apng", ".npy"})
"""Of the files that are clips by themselves wherever they lie; other images in a folder of a clip are its frames."""

_NO_FILE = "neither a file nor a folder, or a link to nothing"


@dataclass
class Found:
    """What lies below one folder, each by its path below the root that was asked for."""

    images: list[str] = field(default_factory=list)
    clips: list[Entry] = field(default_factory=list)
    foreign: list[Refused] = field(default_factory=list)

    def entries(self, kind: Kind) -> list[Entry]:
        """What could be a sample of the kind."""
        return [*self.images] if kind == "image" else self.clips


@dataclass(frozen=True)
class Folder:
    """The names in a folder that count, in the order of their bytes."""

    path: str
    folders: tuple[str, ...]
    files: tuple[str, ...]
    others: tuple[str, ...] = ()
    """Neither: pipes, devices, links to nothing. Opening a pipe would wait for ever."""


def listed(root: str, path: str = "") -> Folder:
    """The folder at `path` below `root`; hidden files and what desktops leave behind are passed over."""
    folders, files, others = [], [], []
    with os.scandir(os.path.join(root, path)) as entries:
        for entry in entries:
            if not is_ignored(entry.name):
                kind = _kind(entry)
                (folders if kind == "folder" else files if kind == "file" else others).append(entry.name)
    return Folder(path, *(tuple(sorted(names)) for names in (folders, files, others)))


def _kind(entry: os.DirEntry[str]) -> Literal["folder", "file", "other"]:
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else "other"
    except OSError:  # a link that leads to itself
        return "other"


def below(path: str, name: str) -> str:
    """The path of a name in a folder, both below the same root."""
    return f"{path}/{name}" if path else name


def foreign(path: str, reason: str) -> Refused:
    """A file that is no sample of this source."""
    return Refused(-1, escaped(path), reason)


def _walk(root: str, path: str) -> Iterator[Folder]:
    """The folder and all below it. A folder that links lead to twice is entered once, so that no loop is endless."""
    entered: set[tuple[int, int]] = set()
    waiting = [path]
    while waiting:
        here = waiting.pop()
        status = os.stat(os.path.join(root, here))
        if (status.st_dev, status.st_ino) in entered:
            continue
        entered.add((status.st_dev, status.st_ino))
        folder = listed(root, here)
        yield folder
        waiting += [below(here, name) for name in reversed(folder.folders)]


def _moves(path: str) -> bool:
    try:
        return decode.form(path, "clip", max_pixels=1 << 62).frames > 1
    except UnreadableError:
        return False


def _is_frames(root: str, path: str, stills: list[str]) -> bool:
    """Whether the images of a folder are frames of one clip rather than clips each."""
    first = below(path, stills[0])
    return extension(first) not in decode.MOVING or not _moves(os.path.join(root, first))


def clips_in(root: str, folder: Folder, is_top: bool) -> Iterator[Entry]:
    """The clips right in a folder; one of still images is a clip itself, unless it is the top."""
    names = [name for name in folder.files if extension(name) in decode.EXTENSIONS or extension(name) == ".npy"]
    stills = [name for name in names if extension(name) not in _ALONE]
    if stills and not is_top and _is_frames(root, folder.path, stills):
        yield Frames(folder.path, tuple(sorted(stills, key=natural)))
        names = [name for name in names if extension(name) in _ALONE]
    yield from (below(folder.path, name) for name in names)


def search(root: str, path: str, kind: Kind, top_is_clip: bool = False) -> Found:
    """What lies below `path`, a folder below `root`.

    Images are the image files at any depth (and .npy). Clips are the animations, multi-page TIFFs and .npy files at any
    depth, and every folder of still images below `path` (with `top_is_clip` also `path` itself).
    """
    found = Found()
    try:
        for folder in _walk(root, path):
            found.foreign += [foreign(below(folder.path, name), _NO_FILE) for name in folder.others]
            for name in folder.files:
                where, kind_of = below(folder.path, name), extension(name)
                if kind_of not in decode.EXTENSIONS and kind_of != ".npy":
                    found.foreign.append(
                        foreign(where, f"not an image{' or clip' if kind == 'clip' else ''}, by its name")
                    )
                elif kind == "image":
                    found.images.append(where)
            if kind == "clip":
                found.clips += clips_in(root, folder, folder.path == path and not top_is_clip)
    except OSError as error:
        if is_of_the_machine(error):
            raise
        where = os.path.relpath(error.filename, root) if error.filename else path
        found.foreign.append(foreign(where, f"the folder cannot be read ({error.strerror})"))
    return found
