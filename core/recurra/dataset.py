"""A dataset: Parquet files that explain themselves, and their way into NumPy. `recurra.dataset_writer` writes them.

Per split `train-00000.parquet`, `validation-00000.parquet`, `test-00000.parquet`, ... with the columns
    pixels   fixed-size binary; the field's metadata holds `recurra.shape` (JSON, [H, W, C] of an image, [T, H, W, C] of
             a clip) and `recurra.dtype` (uint8 or float32): one value is np.frombuffer(value, dtype).reshape(shape)
    label    int32, an index into the classes
    class    its name (dictionary)
    source   where the sample came from
    length   int32, frames before resampling
    group    where the split was made by groups
and, in the schema's metadata under `recurra`, JSON: format, kind, classes, sample, dtype, counts, statistics of the
training split, normalisation, recipe (what was done to the pixels), settings, refused, and a sha256 of all that.
`refused.parquet` lists what was left out.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recurra.columns import damage_named, opened, to_numpy
from recurra.contract import SampleShape
from recurra.errors import RecurraError
from recurra.memory import available_memory
from recurra.normalisation import Normalisation
from recurra.readers.reader import Refused
from recurra.recipe import Recipe
from recurra.splits import SPLITS

__all__ = ["FORMAT", "Dataset", "Split", "to_numpy"]

FORMAT = 1
METADATA = "recurra"
REFUSED_FILE = "refused.parquet"
REFUSED_SCHEMA = pa.schema([("row", pa.int64()), ("source", pa.string()), ("reason", pa.string())])

_ROWS = 512
"""Read at once where all would be too much."""


def schema(sample: SampleShape, dtype: str, groups: bool) -> pa.Schema:
    """The columns of a dataset of such samples."""
    shape = sample.array if sample.kind == "clip" else sample.array[1:]
    about = {"recurra.shape": json.dumps(list(shape)), "recurra.dtype": dtype}
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    fields = [
        pa.field("pixels", pa.binary(size), nullable=False, metadata=about),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("class", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("length", pa.int32(), nullable=False),
    ]
    if groups:
        fields.append(pa.field("group", pa.string(), nullable=False))
    return pa.schema(fields)


def digest(summary: Mapping[str, Any]) -> str:
    """sha256 of a dataset's metadata, which no page checksum covers."""
    return hashlib.sha256(json.dumps(summary, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Split:
    """One split of a dataset. Nothing but the files' footers is read before it is asked for."""

    files: tuple[Path, ...]
    footers: tuple[pq.FileMetaData, ...]
    sample: SampleShape
    dtype: np.dtype

    def __len__(self) -> int:
        return sum(footer.num_rows for footer in self.footers)

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return len(self) * int(np.prod(self.sample.array)) * self.dtype.itemsize

    def labels(self) -> np.ndarray:
        """[N] int64."""
        return self._column("label").to_numpy().astype(np.int64)

    def sources(self) -> list[str]:
        """Where each sample came from."""
        return self._column("source").to_pylist()

    def lengths(self) -> np.ndarray:
        """[N] int64, frames before resampling."""
        return self._column("length").to_numpy().astype(np.int64)

    def groups(self) -> list[str] | None:
        """The group of each sample ('' for none); None where the dataset has no groups."""
        names = self.footers[0].schema.names if self.footers else ()
        return self._column("group").to_pylist() if "group" in names else None

    def pixels(self, scratch: Path | None = None, limit: int | None = None) -> np.ndarray:
        """[N, T, H, W, C] as stored (uint8 or float32), read-only.

        In memory up to `limit` bytes (left out: a quarter of what the machine and its container have available now).
        Beyond, the pixels are copied into a raw file in the folder `scratch` (left out: the system's for temporary
        files) and mapped, so that memory stays bounded and rows can be gathered at random. The file goes away with the
        array.
        """
        if self.nbytes > (available_memory() // 4 if limit is None else limit):
            return self._mapped(scratch)
        if len(self.files) == 1:
            # Arrow joins the row groups of one batch in one buffer: no copy of ours, and half the work.
            blocks = list(self.blocks(max(1, len(self))))
            if len(blocks) == 1:
                return blocks[0]
        pixels = np.empty((len(self), *self.sample.array), self.dtype)
        start = 0
        for block in self.blocks(_ROWS):
            pixels[start : start + len(block)] = block
            start += len(block)
        pixels.flags.writeable = False
        return pixels

    def gather(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """The pixels of some rows, [n, T, H, W, C]: reads the row groups that they are in and no other."""
        wanted = np.asarray(rows, np.int64)
        pixels = np.empty((len(wanted), *self.sample.array), self.dtype)
        parts = self._row_groups()
        part_of = np.searchsorted([start for *_, start in parts], wanted, side="right") - 1
        for index in np.unique(part_of):
            file, row_group, start = parts[index]
            here = part_of == index
            pixels[here] = self._read(file, row_group)[wanted[here] - start]
        return pixels

    def _row_groups(self) -> list[tuple[int, int, int]]:
        """(file, row group, first row) of each."""
        parts, start = [], 0
        for file, footer in enumerate(self.footers):
            for row_group in range(footer.num_row_groups):
                parts.append((file, row_group, start))
                start += footer.row_group(row_group).num_rows
        return parts

    def blocks(self, rows: int, mapped: bool = True) -> Iterator[np.ndarray]:
        """All pixels in order, at most `rows` samples at once."""
        for path, footer in zip(self.files, self.footers, strict=True):
            with damage_named(path), opened(path, footer, mapped) as parquet:
                for batch in parquet.iter_batches(rows, columns=["pixels"], use_threads=False):
                    yield to_numpy(batch.column(0), self.sample.array, self.dtype)

    def _read(self, file: int, row_group: int) -> np.ndarray:
        path = self.files[file]
        with damage_named(path), opened(path, self.footers[file]) as parquet:
            column = parquet.read_row_group(row_group, columns=["pixels"], use_threads=False)["pixels"]
            return to_numpy(column, self.sample.array, self.dtype)

    def _column(self, name: str) -> pa.ChunkedArray:
        chunks: list[pa.Array] = []
        for path, footer in zip(self.files, self.footers, strict=True):
            with damage_named(path), opened(path, footer) as parquet:
                chunks += parquet.read(columns=[name])[name].chunks
        return pa.chunked_array(chunks)

    def _mapped(self, scratch: Path | None) -> np.ndarray:
        if scratch is not None:
            scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=scratch, prefix="recurra-", suffix=".raw", delete=False) as file:
            path = Path(file.name)
            try:
                # Written, not copied through a mapping: that would count as memory until the kernel takes it back.
                for block in self.blocks(_ROWS, mapped=False):
                    file.write(block.data.cast("B"))
                file.flush()
                return np.memmap(path, self.dtype, mode="r", shape=(len(self), *self.sample.array))
            except OSError as error:
                raise RecurraError(f"{path}: {self.nbytes:,} bytes of scratch space are needed: {error}") from error
            finally:
                # The mapping keeps the bytes. Windows deletes nothing that is mapped; there the system cleans up.
                with suppress(PermissionError):
                    path.unlink()


@dataclass(frozen=True)
class Dataset:
    """An opened dataset."""

    folder: Path
    summary: dict[str, Any]
    """The metadata, as the module's docstring lists it."""
    sample: SampleShape
    dtype: np.dtype
    classes: tuple[str, ...]
    normalisation: Normalisation
    recipe: Recipe
    splits: dict[str, Split]
    """Those of train, validation and test that have samples."""

    @classmethod
    def open(cls, folder: Path) -> Dataset:
        """The dataset in a folder; a RecurraError that names the file where it is missing or damaged."""
        files = {split: tuple(sorted(folder.glob(f"{split}-*.parquet"))) for split in SPLITS}
        if not files["train"]:
            raise RecurraError(f"{folder}: no dataset here (there is no train-00000.parquet)")
        path = files["train"][0]
        with damage_named(path):
            summary = _summary(path)
            sample, dtype = SampleShape(**summary["sample"]), np.dtype(summary["dtype"])
            counts = {name: sum(per_class) for name, per_class in summary["counts"].items()}
            opened = cls(
                folder=folder,
                summary=summary,
                sample=sample,
                dtype=dtype,
                classes=tuple(summary["classes"]),
                normalisation=Normalisation.from_json(summary["normalisation"]),
                recipe=Recipe.from_json(summary["recipe"]),
                splits={name: _split(paths, sample, dtype) for name, paths in files.items() if paths},
            )
        for name, count in counts.items():
            found = len(opened.splits[name]) if name in opened.splits else 0
            if found != count:
                raise RecurraError(
                    f"{folder}: the {name} split has {found:,} samples, and {count:,} were written; damaged"
                )
        return opened

    def count(self, split: str) -> np.ndarray:
        """[K] int64, samples of each class in a split."""
        return np.asarray(self.summary["counts"][split], np.int64)

    @cached_property
    def refused(self) -> list[Refused]:
        """What was left out, and why."""
        path = self.folder / REFUSED_FILE
        with damage_named(path):
            rows = pq.read_table(path, page_checksum_verification=True).to_pylist()
            return [Refused(**row) for row in rows]


def _summary(path: Path) -> dict[str, Any]:
    metadata = pq.read_schema(path).metadata or {}
    summary = json.loads(metadata[METADATA.encode()])
    if summary.pop("sha256") != digest(summary):
        raise ValueError("its metadata has changed since it was written")
    if summary["format"] != FORMAT:
        raise RecurraError(f"{path}: dataset format {summary['format']}, this version reads {FORMAT}; make it again")
    return summary


def _split(files: tuple[Path, ...], sample: SampleShape, dtype: np.dtype) -> Split:
    footers = []
    for path in files:
        with damage_named(path), opened(path) as parquet:
            found, size = parquet.schema_arrow.field("pixels").type, int(np.prod(sample.array)) * dtype.itemsize
            if found != pa.binary(size):
                raise RecurraError(f"{path}: pixels are {found}, expected {size} bytes each")
            footers.append(parquet.metadata)
    return Split(files, tuple(footers), sample, dtype)
