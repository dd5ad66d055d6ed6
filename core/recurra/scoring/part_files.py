"""Parts: their numbers, the names of their files, and how a file gets its place for good."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from recurra.durable import fsync_folder
from recurra.errors import RecurraError


def part_name(number: int) -> str:
    """42 -> 00000042."""
    return f"{number:08}"


def span_of(path: Path) -> tuple[int, int] | None:
    """The first and the last part that a file is of, by its name; None for a file that is none of ours."""
    first, dash, last = path.stem.partition("-")
    if path.suffix != ".parquet" or not first.isdecimal() or (dash and not last.isdecimal()):
        return None
    return int(first), int(last if dash else first)


def prediction_parts(folder: Path) -> Iterator[tuple[int, Path]]:
    """(number, file) of every part of the predictions."""
    for path in folder.glob("day=*/*.parquet"):
        span = span_of(path)
        if span is not None:
            yield span[0], path


def placed(path: Path, place: Path) -> None:
    """Renames a finished file to its place, where it then is whatever happens; on one file system."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    path.replace(place)
    fsync_folder(place.parent)


def made(folder: Path) -> None:
    """The folder is there for good, with those above it."""
    if not folder.is_dir():
        made(folder.parent)
        folder.mkdir(exist_ok=True)
    fsync_folder(folder.parent)


def write(table: pa.Table, path: Path) -> None:
    """A Parquet file whose damage is noticed."""
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def opened(path: Path) -> pq.ParquetFile:
    """A file of ours; RecurraError where it cannot be read."""
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, error) from None


def damaged(path: Path, error: Exception) -> RecurraError:
    """What is raised where a file of ours cannot be read."""
    return RecurraError(f"{path}: damaged ({error}); restore it, or move it away to have its files scored again")
