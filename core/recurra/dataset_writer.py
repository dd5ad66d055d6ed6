"""Writing a dataset: samples stream in, Parquet files of bounded row groups come out. `recurra.dataset` reads them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recurra.contract import SampleShape
from recurra.dataset import METADATA, REFUSED_FILE, REFUSED_SCHEMA, digest, schema
from recurra.readers.reader import Refused

ROWS = 4096
ROW_GROUP_BYTES = 16 * 2**20
FILE_BYTES = 2 * 2**30
PAGE_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Rows:
    """Some samples of one split, ready to be written."""

    pixels: np.ndarray
    """[n, T, H, W, C], of the dataset's sample shape and dtype."""
    labels: np.ndarray
    """[n] int32."""
    sources: Sequence[str]
    lengths: np.ndarray
    """[n] int32, frames before resampling."""
    groups: Sequence[str] | None = None


class DatasetWriter:
    """Writes a dataset into a folder. Holds one row group of each split in memory; equal input gives equal bytes.

    A context manager; `finish` with the metadata completes the files, without it they are left unreadable.
    """

    def __init__(
        self,
        folder: Path,
        sample: SampleShape,
        dtype: str,
        classes: Sequence[str],
        groups: bool = False,
        compression: Literal["none", "lz4", "zstd"] = "none",
    ) -> None:
        self.folder, self.compression = folder, compression
        self.schema = schema(sample, dtype, groups)
        self.classes = pa.array(classes, pa.string())
        self.sample, self.dtype = sample, np.dtype(dtype)
        self.splits: dict[str, _SplitWriter] = {}

    def write(self, split: str, rows: Rows) -> None:
        """Appends samples to a split."""
        if split not in self.splits:
            self.splits[split] = _SplitWriter(split, self)
        self.splits[split].write(rows)

    def finish(self, metadata: Mapping[str, Any], refused: Sequence[Refused]) -> None:
        """Writes what is left, `metadata` (JSON-able) into every file's schema, and refused.parquet."""
        text = json.dumps({**metadata, "sha256": digest(metadata)}, sort_keys=True)
        for split in self.splits.values():
            split.finish(text)
        columns = [[r.row for r in refused], [r.source for r in refused], [r.reason for r in refused]]
        table = pa.Table.from_arrays(
            [pa.array(c, f.type) for c, f in zip(columns, REFUSED_SCHEMA, strict=True)], schema=REFUSED_SCHEMA
        )
        pq.write_table(table, self.folder / REFUSED_FILE, write_page_checksum=True)

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for split in self.splits.values():
            split.close()


class _SplitWriter:
    """One split's files, and the row group that is being filled."""

    def __init__(self, name: str, dataset: DatasetWriter) -> None:
        self.name, self.dataset = name, dataset
        bytes_a_row = int(np.prod(dataset.sample.array)) * dataset.dtype.itemsize
        self.rows = max(1, min(ROWS, ROW_GROUP_BYTES // bytes_a_row))
        self.groups_a_file = max(1, FILE_BYTES // (self.rows * bytes_a_row))
        self.pixels = np.empty((self.rows, *dataset.sample.array), dataset.dtype)
        self.columns: list[Rows] = []
        self.filled = 0
        self.row_groups = 0
        self.open: list[pq.ParquetWriter] = []

    def write(self, rows: Rows) -> None:
        start, count = 0, len(rows.pixels)
        while start < count:
            stop = min(count, start + self.rows - self.filled)
            self.pixels[self.filled : self.filled + stop - start] = rows.pixels[start:stop]
            groups = None if rows.groups is None else rows.groups[start:stop]
            part = slice(start, stop)
            self.columns.append(
                Rows(rows.pixels[:0], rows.labels[part], rows.sources[part], rows.lengths[part], groups)
            )
            self.filled += stop - start
            start = stop
            if self.filled == self.rows:
                self._flush()

    def _flush(self) -> None:
        if self.row_groups % self.groups_a_file == 0:
            self.open.append(self._next_file())
        labels = pa.array(np.concatenate([c.labels for c in self.columns]), pa.int32())
        size = self.pixels[0].nbytes
        arrays = [
            pa.FixedSizeBinaryArray.from_buffers(pa.binary(size), self.filled, [None, pa.py_buffer(self.pixels)]),
            labels,
            pa.DictionaryArray.from_arrays(labels, self.dataset.classes),
            pa.array([s for c in self.columns for s in c.sources], pa.string()),
            pa.array(np.concatenate([c.lengths for c in self.columns]), pa.int32()),
        ]
        if "group" in self.dataset.schema.names:
            arrays.append(pa.array([g for c in self.columns for g in c.groups or ()], pa.string()))
        batch = pa.RecordBatch.from_arrays(arrays, schema=self.dataset.schema)
        self.open[-1].write_batch(batch, row_group_size=self.filled)
        self.columns, self.filled, self.row_groups = [], 0, self.row_groups + 1

    def _next_file(self) -> pq.ParquetWriter:
        names = [name for name in self.dataset.schema.names if name != "pixels"]
        options: dict[str, Any] = {
            "compression": {"pixels": self.dataset.compression, **dict.fromkeys(names, "zstd")},
            "use_dictionary": [name for name in names if name != "source"],
            "write_statistics": names,
            "write_page_checksum": True,
            "data_page_size": PAGE_BYTES,
            "store_schema": False,
        }
        path = self.dataset.folder / f"{self.name}-{len(self.open):05}.parquet"
        return pq.ParquetWriter(path, self.dataset.schema, **options)

    def finish(self, metadata: str) -> None:
        if self.filled:
            self._flush()
        # The statistics are known only now, and Arrow keeps a schema's metadata (with the fields' own) in this entry,
        # which it would write at the start.
        arrow = self.dataset.schema.with_metadata({METADATA: metadata})
        entries = {METADATA: metadata, "ARROW:schema": base64.b64encode(arrow.serialize()).decode()}
        for writer in self.open:
            writer.add_key_value_metadata(entries)
        self.close()

    def close(self) -> None:
        for writer in self.open:
            writer.close()
