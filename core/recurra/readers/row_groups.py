"""Samples that are rows of Parquet files: a row group is read when one of its rows is asked for."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recurra.readers import decode
from recurra.readers.files import block
from recurra.readers.fingerprint import digest_of_files
from recurra.readers.reader import Block, Form, Kind, Refused, Samples
from recurra.readers.unreadable import UnreadableError, explained

_KEPT = 4
"""Row groups that are kept in memory: neighbouring blocks of rows are asked for by several threads at once."""
R = TypeVar("R")


@dataclass(frozen=True)
class Pixels:
    """What a fixed-size binary column holds, from its field's metadata."""

    form: Form
    kind: Kind

    @property
    def dtype(self) -> np.dtype:
        """Of the stored values."""
        return np.dtype(self.form.dtype)


@dataclass(frozen=True)
class RowGroup:
    """A row group of one of the files."""

    path: str
    number: int
    rows: int


def _parquet(path: str) -> pq.ParquetFile:
    return pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)


@dataclass
class TableSource:
    """The rows of Parquet files, one after another."""

    kind: Kind
    classes: tuple[str, ...]
    samples: Samples
    refused: Sequence[Refused]
    root: str
    names: tuple[str, ...]
    """The files below `root`; `("",)` where it is the one file."""
    column: str
    groups: tuple[RowGroup, ...]
    pixels: Pixels | None
    """What the column holds; None where it holds encoded files."""
    max_pixels: int
    _kept: OrderedDict[int, pa.Array] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum([group.rows for group in self.groups], dtype=np.int64)])

    def digest(self) -> str:
        """sha256 (hex) of the files' names and contents."""
        if self.names == ("",):
            return digest_of_files(os.path.dirname(self.root), [os.path.basename(self.root)])
        return digest_of_files(self.root, self.names)

    def forms(self, rows: np.ndarray) -> Sequence[Form | Refused]:
        """The form of each row: the column's, or from the header of each encoded image."""
        if self.pixels:
            return [self.pixels.form] * len(rows)
        read = partial(decode.form, kind=self.kind, max_pixels=self.max_pixels)
        return [self._each(row, content, read) for row, content in self._contents(rows)]

    def read(self, rows: np.ndarray) -> Block:
        """The rows decoded; all rows of a row group that is damaged are refused."""
        rows = np.asarray(rows, np.int64)
        if self.pixels:
            return self._read_pixels(rows, self.pixels)
        read = partial(decode.pixels, kind=self.kind, max_pixels=self.max_pixels)
        results = [(row, self._each(row, content, read)) for row, content in self._contents(rows)]
        refused = [result for _, result in results if isinstance(result, Refused)]
        fine = [(row, result) for row, result in results if not isinstance(result, Refused)]
        return block([row for row, _ in fine], [array for _, array in fine], refused)

    def _each(self, row: int, content: object, read: Callable[[bytes], R]) -> R | Refused:
        try:
            if isinstance(content, UnreadableError):
                raise content
            if not isinstance(content, bytes):
                raise UnreadableError("no image: the column's value is missing (paths without bytes are not followed)")
            return read(content)
        except UnreadableError as error:
            return self._refuse(row, error)

    def _refuse(self, row: int, error: UnreadableError) -> Refused:
        return Refused(row, self.samples.sources[row], str(error))

    def _group(self, number: int) -> pa.Array:
        with self._lock:
            if number not in self._kept:
                self._kept[number] = self._read_group(self.groups[number])
            self._kept.move_to_end(number)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[number]

    def _read_group(self, group: RowGroup) -> pa.Array:
        path = os.path.join(self.root, group.path) if group.path else self.root
        with explained(f"row group {group.number}"), _parquet(path) as file:
            column = file.read_row_group(group.number, columns=[self.column]).column(0).combine_chunks()
            array = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
            if len(array) != group.rows:
                raise UnreadableError(f"damaged: {len(array)} values, {group.rows} were written")
            array.validate(full=True)
            return array.field("bytes") if pa.types.is_struct(array.type) else array

    def _by_group(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, pa.Array | UnreadableError]]:
        """(places in `rows`, rows within the group, the group's values) for each row group that is needed."""
        owners = np.searchsorted(self._starts, rows, "right") - 1
        for owner in np.unique(owners).tolist():
            where = np.flatnonzero(owners == owner)
            try:
                values = self._group(owner)
            except UnreadableError as error:
                values = error
            yield where, rows[where] - self._starts[owner], values

    def _contents(self, rows: np.ndarray) -> Iterator[tuple[int, object]]:
        """(row, bytes of its file, or why there are none), in the order asked for."""
        rows = np.asarray(rows, np.int64)
        found: list[object] = [None] * len(rows)
        for where, within, values in self._by_group(rows):
            broken = isinstance(values, UnreadableError)
            picked = [values] * len(where) if broken else values.take(pa.array(within)).to_pylist()
            for at, content in zip(where.tolist(), picked, strict=True):
                found[at] = content
        return zip(rows.tolist(), found, strict=True)

    def _read_pixels(self, rows: np.ndarray, pixels: Pixels) -> Block:
        form, refused = pixels.form, []
        arrays = np.zeros((len(rows), form.frames, form.height, form.width, form.channels), pixels.dtype)
        fine = np.ones(len(rows), bool)
        for where, within, values in self._by_group(rows):
            if isinstance(values, UnreadableError):
                fine[where] = False
                refused += [self._refuse(row, values) for row in rows[where].tolist()]
                continue
            arrays[where] = _fixed(values, pixels.dtype)[within].reshape(-1, *arrays.shape[1:])
            missing = values.is_null().to_numpy(zero_copy_only=False)[within]
            finite = np.isfinite(arrays[where]).all((1, 2, 3, 4)) if arrays.dtype == np.float32 else ~missing
            fine[where] = finite & ~missing
            reason = UnreadableError("it is missing, or holds NaN or infinity")
            refused += [self._refuse(row, reason) for row in rows[where[missing | ~finite]].tolist()]
        return Block(rows[fine], arrays if fine.all() else arrays[fine], refused)


def _fixed(values: pa.Array, dtype: np.dtype) -> np.ndarray:
    """[N, values] of a fixed-size binary array, without a copy."""
    width = values.type.byte_width // dtype.itemsize
    flat = np.frombuffer(values.buffers()[1], dtype)
    return flat[values.offset * width : (values.offset + len(values)) * width].reshape(len(values), width)
