"""IDX, the format of MNIST and its kin: NAME-images-idx3-ubyte with NAME-labels-idx1-ubyte, gzipped or not.

A file is two zero bytes, a type code, the number of dimensions, each dimension as a big-endian 32-bit integer, and the
values (http://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import gzip
import os
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, cast

import numpy as np

from recurra.errors import InputError
from recurra.experiment import Data
from recurra.readers import labels, members, npy
from recurra.readers.fingerprint import digest_of_files
from recurra.readers.names import escaped, is_ignored, split_prefix
from recurra.readers.reader import Refused, Source
from recurra.readers.rows import Part, RowSource, part, samples_of, told_kind
from recurra.readers.tree import foreign
from recurra.readers.unreadable import UnreadableError, explained, refusing

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_IMAGES = re.compile(r"(?P<stem>.*?)[-_.]?images[-.]idx\d-ubyte(\.gz)?$", re.IGNORECASE)
_LABELS = re.compile(r"(?P<stem>.*?)[-_.]?labels[-.]idx1-ubyte(\.gz)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Pair:
    """The files of images and of their labels."""

    images: str
    labels: str
    split: str


def pairs(names: Sequence[str]) -> list[Pair]:
    """The files that belong together, by what stands before `images` and `labels` in their names."""
    # Backwards, so that of a file and its .gz the plain one stays: it is memory-mapped in place.
    images = {match["stem"]: name for name in reversed(names) if (match := _IMAGES.match(name))}
    of_labels = {match["stem"]: name for name in reversed(names) if (match := _LABELS.match(name))}
    stems = sorted(images.keys() & of_labels.keys())
    found = [Pair(images[stem], of_labels[stem], _split(stem)) for stem in stems]
    return sorted(found, key=lambda pair: pair.split != "train")


def _split(stem: str) -> str:
    return "test" if stem.casefold() == "t10k" else split_prefix(stem) or ""


def _head(stream: IO[bytes]) -> npy.Header:
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES or not 1 <= start[3] <= 8:
        raise UnreadableError(f"not an IDX file: it begins with {start.hex(' ') or 'nothing'}")
    sizes = stream.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise UnreadableError("truncated within its header")
    shape = struct.unpack(f">{start[3]}I", sizes)
    return npy.Header(shape, np.dtype(_TYPES[start[2]]), False, 4 + len(sizes))


def _plain(path: str) -> np.ndarray:
    with open(path, "rb") as file:
        head = _head(file)
        present = os.fstat(file.fileno()).st_size - head.offset
        if present != head.size:
            raise UnreadableError(f"its header says {list(head.shape)}, {head.size:,} bytes; {present:,} are there")
        return npy.at(file, head, head.offset)


def array(path: str) -> np.ndarray:
    """The array in an IDX file, memory-mapped; a gzipped one is unpacked in blocks into a temporary file."""
    with explained():
        if not path.lower().endswith(".gz"):
            return _plain(path)
        with gzip.open(path) as file:
            stream = cast(IO[bytes], file)
            head = _head(stream)
            # A header may claim anything; deflate cannot shrink by more than 1032 to 1.
            if head.size > 1032 * os.path.getsize(path) + 1024:
                raise UnreadableError(f"its header says {list(head.shape)}, more than the file can hold")
            return members.mapped_stream(stream, head)


def _names(source: str) -> list[str]:
    return [name for name in sorted(os.listdir(source)) if not is_ignored(name)]


@dataclass
class IdxReader:
    """Reads folders of IDX files."""

    home: Path | None = None
    """The home folder; left out: the default one."""
    name = "idx"
    description = (
        "a folder with NAME-images-idx3-ubyte and NAME-labels-idx1-ubyte (.gz or not); train and t10k are splits"
    )

    def recognises(self, source: str) -> bool:
        """Whether a file of IDX images lies in the folder."""
        try:
            return any(_IMAGES.match(name) for name in _names(source))
        except (OSError, ValueError):
            return False

    def open(self, source: str, data: Data, names: Sequence[str] | None = None) -> Source:
        """The images of every pair of files; `names` of the classes, by default the distinct labels as text."""
        shown, present = escaped(source), _names(source)
        found = pairs(present)
        if not found:
            raise InputError(
                f"{shown}: no IDX images with their labels; expected NAME-images-idx3-ubyte and "
                "NAME-labels-idx1-ubyte, .gz or not"
            )
        arrays = {name: _read(source, name) for pair in found for name in (pair.images, pair.labels)}
        parts = [_part(source, pair, arrays, data) for pair in found]
        joined = np.concatenate([arrays[pair.labels] for pair in found])
        indices, classes = labels.indexed(joined, _where(source, found[0].labels), names)
        samples = samples_of(parts, indices)
        labels.check(samples.labels, classes, shown)
        kind = told_kind(parts[0].array.shape, data, _where(source, parts[0].name))
        digest = partial(digest_of_files, source, list(arrays), self.home)
        return RowSource(kind, classes, samples, parts, digest, _beside(present, list(arrays)))


def _part(source: str, pair: Pair, arrays: Mapping[str, np.ndarray], data: Data) -> Part:
    images, of_labels, where = arrays[pair.images], arrays[pair.labels], _where(source, pair.images)
    if of_labels.ndim != 1:
        raise InputError(f"{_where(source, pair.labels)}: shape {list(of_labels.shape)}, expected one label a sample")
    if len(images) != len(of_labels):
        raise InputError(
            f"{where}: {len(images):,} images, but {len(of_labels):,} labels in {escaped(pair.labels)}; "
            "expected one label an image: are both files of the same split?"
        )
    return part(escaped(pair.images), pair.split, images, told_kind(images.shape, data, where), data, where)


def _where(source: str, name: str) -> str:
    return f"{escaped(source).rstrip('/')}/{escaped(name)}"


def _read(source: str, name: str) -> np.ndarray:
    with refusing(_where(source, name), "download or copy it again"):
        return array(os.path.join(source, name))


def _beside(present: Sequence[str], used: Sequence[str]) -> list[Refused]:
    return [foreign(name, "beside the IDX files, not one of a pair") for name in present if name not in used]
