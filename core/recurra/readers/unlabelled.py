"""Files and folders without labels, to be recognised: whatever can be read is, the rest is refused with its reason."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recurra.errors import InputError
from recurra.experiment import Data
from recurra.readers import decode
from recurra.readers.files import Entry, FileSource, Frames
from recurra.readers.names import escaped, extension
from recurra.readers.reader import Kind, Refused, Samples, Source
from recurra.readers.tree import Found, foreign, search


def _single(path: str) -> Found:
    if extension(path) in decode.EXTENSIONS or extension(path) == ".npy":
        return Found([path], [path])
    return Found(foreign=[foreign(path, "not an image or clip, by its name")])


def _found(path: str, kind: Kind) -> Found:
    if os.path.isdir(path):
        return search("", path, kind, top_is_clip=True)
    if not os.path.lexists(path):
        return Found(foreign=[foreign(path, "no such file or folder")])
    if not os.path.isfile(path):
        return Found(foreign=[foreign(path, "neither a file nor a folder, or a link to nothing")])
    return _single(path)


def _name(entry: Entry) -> str:
    return entry.folder if isinstance(entry, Frames) else entry


def open_unlabelled(paths: Sequence[Path], kind: Kind, data: Data) -> Source:
    """The images or clips in files and, at any depth, folders, in the order given, each once; every label is -1.

    What is missing or is no image by its name is in the source's `refused`, what turns out to be damaged is refused
    when it is read. InputError where nothing is left.
    """
    found = [_found(os.fspath(path), kind) for path in paths]
    entries = list({_name(entry): entry for each in found for entry in each.entries(kind)}.values())
    refused: list[Refused] = [each for one in found for each in one.foreign]
    if not entries:
        shown = ", ".join(escaped(str(path)) for path in paths[:3]) or "nothing"
        why = f" ({refused[0].source}: {refused[0].reason})" if refused else ""
        raise InputError(f"{shown}: no {kind}s to recognise{why}")
    labels, splits = np.full(len(entries), -1, np.int32), np.full(len(entries), "", "<U10")
    samples = Samples([escaped(_name(entry)) for entry in entries], labels, splits, {})
    return FileSource(kind, (), samples, refused, "", entries, data.max_pixels)
