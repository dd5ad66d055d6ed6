"""CIFAR-10 in its binary form: records of a label and 3 x 32 x 32 values, in a tar archive that is read in place."""

from __future__ import annotations

import tarfile
import tempfile
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from recurra.errors import InputError
from recurra.experiment import Data
from recurra.readers import labels, npy
from recurra.readers.fingerprint import digest_of_files
from recurra.readers.reader import Source
from recurra.readers.rows import Part, RowSource, part, samples_of
from recurra.readers.unreadable import UnreadableError, refusing

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_BATCHES = {f"data_batch_{number}.bin": "train" for number in range(1, 6)} | {"test_batch.bin": "test"}
_RECORD = 1 + 3 * 32 * 32
_AT_ONCE = 1000


def _unpacked(stream: IO[bytes], size: int) -> tuple[np.ndarray, np.ndarray]:
    """([N, 32, 32, 3] uint8, memory-mapped from a temporary file, [N] labels)."""
    if size == 0 or size % _RECORD:
        raise UnreadableError(f"{size:,} bytes, not a whole number of records of {_RECORD}")
    head = npy.Header((size // _RECORD, 32, 32, 3), np.dtype(np.uint8), False, 0)
    its_labels = np.empty(head.shape[0], np.uint8)
    with tempfile.TemporaryFile() as file:
        for at in range(0, head.shape[0], _AT_ONCE):
            records = np.frombuffer(stream.read(_AT_ONCE * _RECORD), np.uint8).reshape(-1, _RECORD)
            its_labels[at : at + len(records)] = records[:, 0]
            file.write(np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)).data)
        file.flush()
        return npy.at(file, head, 0), its_labels


def _batches(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    found = {}
    with refusing(str(path)), tarfile.open(path, "r|gz") as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if name in _BATCHES and (stream := archive.extractfile(member)) is not None:
                found[name] = _unpacked(stream, member.size)
    return found


def open_cifar10(path: Path, data: Data, home: Path | None = None) -> Source:
    """The images in the archive, in its own split."""
    if data.kind == "clips":
        raise InputError("data.kind: cifar10 are images; set images, or leave it out")
    found = _batches(path)
    if missing := _BATCHES.keys() - found.keys():
        raise InputError(f"{path}: has no {min(missing)}, expected the published cifar-10-binary.tar.gz")
    parts: list[Part] = [
        part(name, split, found[name][0], "image", data, f"{path}, {name}") for name, split in _BATCHES.items()
    ]
    values = np.concatenate([found[name][1] for name in _BATCHES])
    indices, classes = labels.indexed(values, str(path), CLASSES)
    digest = partial(digest_of_files, str(path.parent), [path.name], home)
    return RowSource("image", classes, samples_of(parts, indices), parts, digest)
