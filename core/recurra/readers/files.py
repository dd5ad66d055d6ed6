"""Samples that are files: an image, a clip in one file, or a folder of frames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from recurra.readers import area, decode, npy
from recurra.readers.fingerprint import digest_of_files
from recurra.readers.names import escaped, extension
from recurra.readers.reader import Block, Form, Kind, Refused, Samples
from recurra.readers.unreadable import UnreadableError, explained


@dataclass(frozen=True)
class Frames:
    """A folder whose images are the frames of one clip, in the order of `names`."""

    folder: str
    names: tuple[str, ...]

    def paths(self) -> Iterator[str]:
        """Of the frames, below where the folder's own path begins."""
        return (f"{self.folder}/{name}" for name in self.names)


Entry = str | Frames


def block(rows: Sequence[int], arrays: Sequence[np.ndarray], refused: Sequence[Refused]) -> Block:
    """What was read, in one array where every sample has one shape and dtype."""
    alike = len({(array.shape, array.dtype) for array in arrays}) == 1
    return Block(np.asarray(rows, np.int64), np.stack(arrays) if alike else list(arrays), tuple(refused))


def _file_form(path: str, kind: Kind, max_pixels: int) -> Form:
    return (npy if extension(path) == ".npy" else decode).form(path, kind, max_pixels)


def _file_pixels(path: str, kind: Kind, max_pixels: int) -> np.ndarray:
    return (npy if extension(path) == ".npy" else decode).pixels(path, kind, max_pixels)


def _common(forms: Sequence[Form], names: Sequence[str]) -> Form:
    """The form of a clip of these frames: colour, or float32, where one of them is."""
    first = forms[0]
    for form, name in zip(forms, names, strict=True):
        if (form.height, form.width) != (first.height, first.width):
            sizes = f"{form.width} x {form.height}, the first is {first.width} x {first.height}"
            raise UnreadableError(f"frame {escaped(name)} is {sizes}")
    colour = any(form.channels == 3 for form in forms)
    deep = [form for form in forms if form.dtype == "float32"]
    dtype, scaled = "float32" if deep else "uint8", bool(deep) and all(form.scaled for form in deep)
    return replace(first, frames=len(forms), channels=3 if colour else 1, dtype=dtype, scaled=scaled)


def _frames_form(root: str, frames: Frames, max_pixels: int) -> Form:
    forms = []
    for path, name in zip(frames.paths(), frames.names, strict=True):
        with explained(f"frame {escaped(name)}"):
            forms.append(decode.form(os.path.join(root, path), "image", max_pixels))
    form = _common(forms, frames.names)
    area.check((form.width, form.height), form.frames, max_pixels)
    return form


def _frames_pixels(root: str, frames: Frames, max_pixels: int) -> np.ndarray:
    form = _frames_form(root, frames, max_pixels)
    array = np.empty((form.frames, form.height, form.width, form.channels), form.dtype)
    for index, (path, name) in enumerate(zip(frames.paths(), frames.names, strict=True)):
        with explained(f"frame {escaped(name)}"):
            # A grey frame among coloured ones is spread over the three channels.
            array[index] = decode.pixels(os.path.join(root, path), "image", max_pixels)[0]
    return array


@dataclass
class FileSource:
    """A source whose samples are files below `root`."""

    kind: Kind
    classes: tuple[str, ...]
    samples: Samples
    refused: Sequence[Refused]
    root: str
    entries: Sequence[Entry]
    """One a sample: a path below `root`, or the frames of a clip."""
    max_pixels: int
    home: Path | None = None
    """Where the files' digests are remembered; left out: in the default home folder."""

    def digest(self) -> str:
        """sha256 (hex) over every file's name and contents; files that have not changed are not read again."""
        return digest_of_files(self.root, [path for entry in self.entries for path in _paths(entry)], self.home)

    def forms(self, rows: np.ndarray) -> Sequence[Form | Refused]:
        """The form of each row, from the headers of its file or frames."""
        return [self._form(row) for row in map(int, rows)]

    def _form(self, row: int) -> Form | Refused:
        entry = self.entries[row]
        try:
            if isinstance(entry, Frames):
                return _frames_form(self.root, entry, self.max_pixels)
            return _file_form(os.path.join(self.root, entry), self.kind, self.max_pixels)
        except UnreadableError as error:
            return Refused(row, self.samples.sources[row], str(error))

    def _pixels(self, row: int) -> np.ndarray:
        entry = self.entries[row]
        if isinstance(entry, Frames):
            return _frames_pixels(self.root, entry, self.max_pixels)
        return _file_pixels(os.path.join(self.root, entry), self.kind, self.max_pixels)

    def read(self, rows: np.ndarray) -> Block:
        """Decodes the rows; what cannot be decoded is refused with its reason and the rest done."""
        kept, arrays, refused = [], [], []
        for row in map(int, rows):
            try:
                arrays.append(self._pixels(row))
                kept.append(row)
            except UnreadableError as error:
                refused.append(Refused(row, self.samples.sources[row], str(error)))
        return block(kept, arrays, refused)


def _paths(entry: Entry) -> Iterator[str]:
    return entry.paths() if isinstance(entry, Frames) else iter((entry,))
