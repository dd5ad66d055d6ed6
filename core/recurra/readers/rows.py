"""Samples that are rows of arrays: everything is done for many rows at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from recurra.errors import InputError
from recurra.experiment import Data
from recurra.readers import npy
from recurra.readers.fingerprint import digest_of_values
from recurra.readers.reader import Block, Form, Kind, Refused, Samples
from recurra.readers.unreadable import UnreadableError


class RowNames(Sequence[str]):
    """FILE#ROW for every row of some files, made when asked for: a million names need no memory."""

    def __init__(self, parts: Sequence[tuple[str, int]]) -> None:
        self.names = tuple(name for name, _ in parts)
        self.starts = np.concatenate([[0], np.cumsum([count for _, count in parts], dtype=np.int64)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        row = index + len(self) if index < 0 else index
        if not 0 <= row < len(self):
            raise IndexError(index)
        part = int(np.searchsorted(self.starts, row, "right")) - 1
        return f"{self.names[part]}#{row - int(self.starts[part])}"


@dataclass(frozen=True)
class Part:
    """One array of samples: the images or clips of a split."""

    name: str
    """The file it came from, below the source."""
    split: str
    array: np.ndarray
    """[N, ...], any number type, usually memory-mapped."""
    form: Form
    """Of every row."""


def told_kind(shape: tuple[int, ...], data: Data, where: str) -> Kind:
    """Whether the rows of an array [N, ...] are images or clips.

    [N, H, W] and [N, H, W, C] are images, [N, T, H, W] and [N, T, H, W, C] clips; where both could be meant, C of 1
    or 3 speaks for images, and `data.kind` decides.
    """
    if data.kind != "auto":
        return "image" if data.kind == "images" else "clip"
    if len(shape) == 4 and shape[3] not in (1, 3) and shape[1] in (1, 3):
        both = f"images with channels first, or clips of {shape[1]} frames"
        raise InputError(f"{where}: {list(shape)} could be {both}; set data.kind: clips, or move the channels last")
    return "image" if len(shape) < 4 or (len(shape) == 4 and shape[3] in (1, 3)) else "clip"


def part(name: str, split: str, array: np.ndarray, kind: Kind, data: Data, where: str) -> Part:
    """The array as samples; an InputError where its shape or type is not one of theirs."""
    if array.ndim == 0 or len(array) == 0:
        raise InputError(f"{where}: shape {list(array.shape)}, expected one sample or more")
    try:
        return Part(name, split, array, npy.form_of(array.shape[1:], array.dtype, kind, data.max_pixels))
    except UnreadableError as error:
        wanted = "images [N, H, W] or [N, H, W, C]" if kind == "image" else "clips [N, T, H, W] or [N, T, H, W, C]"
        raise InputError(f"{where}: {error} in each row of {list(array.shape)}; expected {wanted}, C 1 or 3") from None


@dataclass
class RowSource:
    """A source whose samples are rows of one array, or of several one after another."""

    kind: Kind
    classes: tuple[str, ...]
    samples: Samples
    parts: Sequence[Part]
    fingerprint: Callable[[], str]
    refused: Sequence[Refused] = ()

    def digest(self) -> str:
        """sha256 (hex) of what the arrays and labels were read from, and of the classes' names."""
        # Fashion-MNIST has named classes when it is asked for by name, and numbers as a folder of the same files.
        return digest_of_values(self.fingerprint().encode(), *(name.encode() for name in self.classes))

    def _starts(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum([len(part.array) for part in self.parts])])

    def forms(self, rows: np.ndarray) -> Sequence[Form | Refused]:
        """The form of each row: its array's."""
        owners = np.searchsorted(self._starts(), np.asarray(rows), "right") - 1
        return [self.parts[owner].form for owner in owners.tolist()]

    def read(self, rows: np.ndarray) -> Block:
        """The rows, of which any that hold NaN or infinity are refused."""
        rows = np.asarray(rows, np.int64)
        starts = self._starts()
        owners = np.searchsorted(starts, rows, "right") - 1
        read = [
            (np.flatnonzero(owners == owner), *self._read_part(owner, rows[owners == owner] - starts[owner]))
            for owner in np.unique(owners).tolist()
        ]
        fine = np.ones(len(rows), bool)
        for where, _, finite in read:
            fine[where] = finite
        reason = "it holds NaN or infinity"
        names = self.samples.sources
        refused = tuple(Refused(row, names[row], reason) for row in map(int, rows[~fine]))
        return Block(rows[fine], _merged(read, fine), refused)

    def _read_part(self, owner: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """([n, T, H, W, C], [n] whether every value of a row is finite)."""
        part = self.parts[owner]
        form = part.form
        picked = npy.values(_picked(part.array, rows))
        array = picked.reshape(len(rows), form.frames, form.height, form.width, form.channels)
        if array.dtype == np.uint8:
            return array, np.ones(len(rows), bool)
        return array, np.asarray(np.isfinite(array).all((1, 2, 3, 4)))


def _picked(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    if len(rows) and int(rows[-1]) - int(rows[0]) == len(rows) - 1 and (np.diff(rows) == 1).all():
        return np.array(array[int(rows[0]) : int(rows[-1]) + 1])  # in file order: one copy, no index
    return array[rows]


def _merged(
    read: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], fine: np.ndarray
) -> np.ndarray | Sequence[np.ndarray]:
    """The rows of several parts in the order asked for."""
    if len(read) == 1:
        return read[0][1] if fine.all() else read[0][1][fine]
    if len({(array.shape[1:], array.dtype) for _, array, _ in read}) == 1:
        whole = np.empty((len(fine), *read[0][1].shape[1:]), read[0][1].dtype)
        for where, array, _ in read:
            whole[where] = array
        return whole if fine.all() else whole[fine]
    each = {int(at): sample for where, array, _ in read for at, sample in zip(where, array, strict=True)}
    return [each[at] for at in np.flatnonzero(fine).tolist()]


def samples_of(parts: Sequence[Part], labels: np.ndarray) -> Samples:
    """The samples of the parts, one after another."""
    counts = [len(part.array) for part in parts]
    splits = np.repeat(np.asarray([part.split for part in parts], "<U10"), counts)
    return Samples(RowNames([(part.name, len(part.array)) for part in parts]), labels, splits, {})
