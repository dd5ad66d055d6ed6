"""Samples that are rows of Parquet files: a row group is read when one of its rows is asked for."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
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
    home: Path | None = None
    """Where the files' digests are remembered; left out: in the default home folder."""
    _kept: OrderedDict[int, pa.ChunkedArray] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum([group.rows for group in self.groups], dtype=np.int64)])

    def digest(self) -> str:
        """sha256 (hex) of the files' names and contents."""
        if self.names == ("",):
            return digest_of_files(os.path.dirname(self.root), [os.path.basename(self.root)], self.home)
        return digest_of_files(self.root, self.names, self.home)

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

    def _group(self, number: int) -> pa.ChunkedArray:
        with self._lock:
            if number not in self._kept:
                self._kept[number] = self._read_group(self.groups[number])
            self._kept.move_to_end(number)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[number]

    def _read_group(self, group: RowGroup) -> pa.ChunkedArray:
        path = os.path.join(self.root, group.path) if group.path else self.root
        with explained(f"row group {group.number}", path), _parquet(path) as file:
            column = _column(file, group.number, self.column)
            if len(column) != group.rows:
                raise UnreadableError(f"damaged: {len(column)} values, {group.rows} were written")
            column.validate(full=True)
            return column.flatten()[column.type.get_field_index("bytes")] if pa.types.is_struct(column.type) else column

    def _by_group(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, pa.ChunkedArray | UnreadableError]]:
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
            for at, row in zip(where.tolist(), within.tolist(), strict=True):
                # Not `take`, which would join the chunks: more than 2 GiB of bytes do not fit into one.
                found[at] = values if isinstance(values, UnreadableError) else values[row].as_py()
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
            arrays[where] = _fixed(values.chunk(0), pixels.dtype)[within].reshape(-1, *arrays.shape[1:])
            missing = values.is_null().to_numpy()[within]
            finite = np.isfinite(arrays[where]).all((1, 2, 3, 4)) if arrays.dtype == np.float32 else ~missing
            fine[where] = finite & ~missing
            reason = UnreadableError("it is missing, or holds NaN or infinity")
            refused += [self._refuse(row, reason) for row in rows[where[missing | ~finite]].tolist()]
        return Block(rows[fine], arrays if fine.all() else arrays[fine], refused)


def _column(file: pq.ParquetFile, number: int, name: str) -> pa.ChunkedArray:
    """The column of one row group; fixed-size values in one chunk, others in as many as their bytes need."""
    try:
        column = file.read_row_group(number, columns=[name]).column(0)
    except pa.ArrowNotImplementedError:
        # Arrow's limit: the bytes within a struct, as Hugging Face stores them, are not split into chunks.
        advice = "write the file again with smaller row groups (row_group_size=1000)"
        raise UnreadableError(f"more than 2 GiB of images in one row group; {advice}") from None
    if pa.types.is_fixed_size_binary(column.type):
        whole = column.combine_chunks()
        return whole if isinstance(whole, pa.ChunkedArray) else pa.chunked_array([whole])
    return column


def _fixed(values: pa.Array, dtype: np.dtype) -> np.ndarray:
    """[N, values] of a fixed-size binary array, without a copy."""
    width = values.type.byte_width // dtype.itemsize
    flat = np.frombuffer(values.buffers()[1], dtype)
    return flat[values.offset * width : (values.offset + len(values)) * width].reshape(len(values), width)
