"""Class-per-folder images and clips: CLASS/..., or train/CLASS/... with test/ and validation/ beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from recurra.errors import InputError
from recurra.experiment import Data
from recurra.readers import decode, labels, npy
from recurra.readers.files import Entry, FileSource, Frames
from recurra.readers.names import escaped, extension, natural, split_of
from recurra.readers.reader import Kind, Refused, Samples, Source
from recurra.readers.tree import Folder, Found, below, foreign, listed, search
from recurra.readers.unreadable import UnreadableError

_PROBED = 3
"""Files of each class that are opened to tell images from clips."""


@dataclass(frozen=True)
class ClassFolder:
    """One folder whose samples are of one class and, where the source says so, of one split."""

    path: str
    name: str
    split: str


def _splits(top: Folder) -> tuple[str, ...]:
    """The folders that are splits: all of them, or `train` with another one among folders that are something else."""
    named = {name: split_of(name) for name in top.folders}
    splits = tuple(name for name in top.folders if named[name])
    whole = {named[name] for name in splits}
    return splits if splits and (len(splits) == len(top.folders) or {"train"} < whole) else ()


def class_folders(root: str, shown: str) -> tuple[list[ClassFolder], list[Refused]]:
    """The class folders below `root`, and what lies beside them."""
    top = listed(root)
    splits = _splits(top)
    if not splits:
        beside = [foreign(name, "beside the class folders, not in one") for name in top.files]
        return [ClassFolder(name, name, "") for name in top.folders], beside
    beside = [foreign(name, "beside the folders of the splits, not in one") for name in top.files]
    beside += [foreign(name, "a folder beside the splits") for name in top.folders if name not in splits]
    if not any(split_of(name) == "train" for name in splits):
        raise InputError(f"{shown}: has {escaped(splits[0])}/ but no train/; expected train/CLASS/ or CLASS/")
    found = []
    for folder in (listed(root, name) for name in splits):
        split = split_of(folder.path) or ""
        found += [ClassFolder(below(folder.path, name), name, split) for name in folder.folders]
        beside += [foreign(below(folder.path, name), "beside the class folders, not in one") for name in folder.files]
    return found, beside


def _numbered_from_start(names: Sequence[str]) -> bool:
    """Whether the names differ in one number alone, which counts from 0 or 1: what writers of frames do."""
    numbers = [re.search(r"([0-9]+)\.[^.]+$", name) for name in names]
    stems = {name[: number.start(1)] for name, number in zip(names, numbers, strict=True) if number}
    if len(stems) != 1 or not all(numbers):
        return False
    counted = [int(number[1]) for number in numbers if number]
    return counted[0] in (0, 1) and counted == list(range(counted[0], counted[0] + len(counted)))


def _header_kind(path: str) -> Kind | None:
    """What a file's header says it is; None where it is damaged."""
    form = npy.form if extension(path) == ".npy" else decode.form
    try:
        several = form(path, "clip", 1 << 62).frames > 1
        return "clip" if several or extension(path) == ".npy" else "image"
    except UnreadableError:
        pass
    try:
        form(path, "image", 1 << 62)
        return "image"
    except UnreadableError:
        return None


def _looks_like(root: str, entry: Entry) -> Kind | Literal["either"] | None:
    if isinstance(entry, Frames):
        return "clip" if len(entry.names) > 1 and _numbered_from_start(entry.names) else "either"
    return _header_kind(os.path.join(root, entry))


def told_kind(root: str, shown: str, paths: Sequence[str]) -> Kind:
    """Images or clips, from the names and from the headers of a few files of each class."""
    answers = set()
    for path in paths:
        clips = search(root, path, "clip").clips
        step = max(1, len(clips) // _PROBED)
        answers |= {_looks_like(root, entry) for entry in clips[::step][:_PROBED]} - {None}
    if answers == {"clip"}:
        return "clip"
    # Stills right in a class folder can be nothing else, and speak for those in the folders below.
    if not answers or ("image" in answers and "clip" not in answers):
        return "image"
    what = "folders of images" if "either" in answers else "animations and stills"
    raise InputError(f"{shown}: {what} below the classes could be images or clips; set data.kind to images or clips")


def _check(folders: Sequence[ClassFolder], root: str, shown: str) -> None:
    names = {folder.name for folder in folders}
    if not names:
        raise InputError(f"{shown}: no class folders, expected one folder for each class (CLASS/ or train/CLASS/)")
    if len(names) == 1:
        only = folders[0]
        inside = listed(root, only.path).folders
        nested = not only.split and len(inside) > 1
        advice = f"did you mean {shown.rstrip('/')}/{escaped(only.path)}?" if nested else "expected two or more"
        raise InputError(f"{shown}: one class folder only, {escaped(only.path)}; {advice}")


def _samples(folders: Sequence[ClassFolder], found: Sequence[Found], kind: Kind) -> tuple[Samples, list[Entry]]:
    classes = sorted({folder.name for folder in folders}, key=natural)
    counts = [len(each.entries(kind)) for each in found]
    entries = [entry for each in found for entry in each.entries(kind)]
    indices = np.asarray([classes.index(folder.name) for folder in folders], np.int32)
    splits = np.asarray([folder.split for folder in folders], "<U10")
    sources = [escaped(entry.folder if isinstance(entry, Frames) else entry) for entry in entries]
    return Samples(sources, np.repeat(indices, counts), np.repeat(splits, counts), {}), entries


@dataclass
class FolderReader:
    """Reads images and clips that lie in one folder for each class."""

    home: Path | None = None
    """The home folder; left out: the default one."""
    name = "folders"
    description = "a folder for each class, or train/ and test/ with one for each, of images or clips"

    def recognises(self, source: str) -> bool:
        """Whether it is a folder with folders in it."""
        try:
            return bool(listed(source).folders)
        except (OSError, ValueError):
            return False

    def open(self, source: str, data: Data) -> Source:
        """The files below the class folders, in the order of their names."""
        shown = escaped(source)
        folders, beside = class_folders(source, shown)
        _check(folders, source, shown)
        kind = _kind(source, shown, folders, data)
        found = [search(source, folder.path, kind) for folder in folders]
        for folder, each in zip(folders, found, strict=True):
            if not each.entries(kind):
                raise InputError(_empty(shown, folder, each, data))
        samples, entries = _samples(folders, found, kind)
        classes = tuple(escaped(name) for name in sorted({folder.name for folder in folders}, key=natural))
        labels.check(samples.labels, classes, shown)
        refused = [*beside, *_foreign(found)]
        return FileSource(kind, classes, samples, refused, source, entries, data.max_pixels, self.home)


def _kind(source: str, shown: str, folders: Sequence[ClassFolder], data: Data) -> Kind:
    if data.kind != "auto":
        return "image" if data.kind == "images" else "clip"
    first_of_class = {folder.name: folder.path for folder in reversed(folders)}
    return told_kind(source, shown, sorted(first_of_class.values()))


def _foreign(found: Sequence[Found]) -> Iterator[Refused]:
    return (refused for each in found for refused in each.foreign)


def _empty(shown: str, folder: ClassFolder, found: Found, data: Data) -> str:
    what = "images or clips" if data.kind == "auto" else data.kind
    holds = f"no {what} ({len(found.foreign)} other files)" if found.foreign else "no files"
    return f"{shown}: class folder {escaped(folder.path)} holds {holds}; fill it or remove it"
