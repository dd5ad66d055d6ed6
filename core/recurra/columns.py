"""Parquet columns as NumPy arrays, with every page checked against its checksum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recurra.errors import RecurraError


def to_numpy(column: pa.Array | pa.ChunkedArray, shape: Sequence[int], dtype: np.typing.DTypeLike) -> np.ndarray:
    """A fixed-size binary column as [N, *shape] without a copy, read-only (several chunks are joined: one copy)."""
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    buffer = column.buffers()[1]
    if column.null_count:
        raise RecurraError(f"{column.null_count} of {len(column)} values of the column are missing")
    if not len(column) or buffer is None:
        return np.empty((0, *shape), dtype)
    size = column.type.byte_width // np.dtype(dtype).itemsize
    flat = np.frombuffer(buffer, dtype)[column.offset * size : (column.offset + len(column)) * size]
    values = flat.reshape(-1, *shape)
    values.flags.writeable = False  # They are Arrow's, and Arrow's values do not change.
    return values


def opened(path: Path, footer: pq.FileMetaData | None = None, mapped: bool = True) -> pq.ParquetFile:
    """A Parquet file that is memory-mapped (unless told not to) and whose page checksums are verified."""
    return pq.ParquetFile(path, metadata=footer, memory_map=mapped, pre_buffer=False, page_checksum_verification=True)


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """What goes wrong while a file is read becomes a RecurraError that names it."""
    try:
        yield
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()
        raise RecurraError(f"{path}: damaged or not a recurra dataset ({reason[0] if reason else error!r})") from error
