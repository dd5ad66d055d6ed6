"""What a network answered: a row for each sample, as Parquet or CSV, written and read block by block.

sample           int64, the row in the split
source           where the sample came from
label, class     the truth: int32 and its name; null where there is none
predicted        int32, the likeliest class; of equals the first
predicted_class  its name
correct          whether label and predicted agree; null without a label
confidence       float32, the probability of the predicted class
probabilities    float32[K], in the order of the classes; in CSV a column p_CLASS each
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recurra.errors import InputError

BLOCK_BYTES = 16 << 20
BLOCK_ROWS = 16_384
TRUTH = ("label", "class", "correct")


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits [..., K], float64, summing to 1 over the last axis."""
    z = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return z / z.sum(axis=-1, keepdims=True)


def schema(classes: Sequence[str], labelled: bool = True) -> pa.Schema:
    """The table's schema; its metadata holds the class names (`classes`, JSON)."""
    name = pa.dictionary(pa.int32(), pa.string())
    fields = [
        pa.field("sample", pa.int64(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("label", pa.int32()),
        pa.field("class", name),
        pa.field("predicted", pa.int32(), nullable=False),
        pa.field("predicted_class", name, nullable=False),
        pa.field("correct", pa.bool_()),
        pa.field("confidence", pa.float32(), nullable=False),
        pa.field("probabilities", pa.list_(pa.float32(), len(classes)), nullable=False),
    ]
    kept = [field for field in fields if labelled or field.name not in TRUTH]
    return pa.schema(kept, {"classes": json.dumps(list(classes))})


def table(
    rows: np.ndarray,
    sources: Sequence[str],
    labels: np.ndarray | None,
    logits: np.ndarray,
    classes: Sequence[str],
    labelled: bool = True,
) -> pa.Table:
    """The table of n samples: rows [n] int64, n sources, labels [n] (-1 for none) or None, logits [n, K]."""
    probabilities = softmax(logits)
    predicted = logits.argmax(axis=1).astype(np.int32)
    truth = np.full(len(predicted), -1, np.int32) if labels is None else labels.astype(np.int32)
    names, unknown = pa.array(classes, pa.string()), truth < 0
    label = pa.array(truth, mask=unknown)
    columns: dict[str, Any] = {
        "sample": pa.array(rows, pa.int64()),
        "source": pa.array(sources, pa.string()),
        "label": label,
        "class": pa.DictionaryArray.from_arrays(label, names),
        "predicted": pa.array(predicted),
        "predicted_class": pa.DictionaryArray.from_arrays(pa.array(predicted), names),
        "correct": pa.array(truth == predicted, mask=unknown),
        "confidence": pa.array(probabilities[np.arange(len(predicted)), predicted].astype(np.float32)),
        "probabilities": pa.FixedSizeListArray.from_arrays(
            pa.array(probabilities.astype(np.float32).ravel()), len(classes)
        ),
    }
    wanted = schema(classes, labelled)
    return pa.table([columns[name] for name in wanted.names], schema=wanted)


def _flat(block: pa.Table, classes: Sequence[str]) -> pa.Table:
    """The block with a column p_CLASS for each class and plain names, which is what CSV can hold."""
    lists = block["probabilities"].combine_chunks()
    values = lists.flatten().to_numpy(zero_copy_only=False).reshape(len(block), len(classes))
    flat = block.drop_columns(["probabilities"])
    for name in ("class", "predicted_class"):
        if name in flat.column_names:
            at = flat.column_names.index(name)
            flat = flat.set_column(at, name, flat[name].cast(pa.string()))
    for number, name in enumerate(classes):
        flat = flat.append_column(f"p_{name}", pa.array(np.ascontiguousarray(values[:, number])))
    return flat.replace_schema_metadata(None)


class PredictionWriter:
    """Writes predictions to a .parquet or .csv file, which is there when the `with` block has ended well.

    `labelled=False` leaves out the columns of the truth. Memory is bounded by a block, however many samples
    there are.
    """

    def __init__(self, path: Path, classes: Sequence[str], labelled: bool = True) -> None:
        if path.suffix not in (".parquet", ".csv"):
            raise InputError(f"{path}: predictions are written to .parquet or .csv, not '{path.suffix}'")
        self.path, self.classes, self.labelled = path, tuple(classes), labelled
        self._beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        self._waiting: list[pa.Table] = []
        self._block = max(1, min(BLOCK_ROWS, BLOCK_BYTES // (4 * max(1, len(classes)))))
        self._writer: Any = None

    def __enter__(self) -> PredictionWriter:
        # An empty first block, so that a file without samples still has its header.
        empty = np.empty(0, np.int64)
        self._put(self._table(empty, [], empty, np.empty((0, len(self.classes)), np.float32)))
        return self

    def write(self, rows: np.ndarray, sources: Sequence[str], labels: np.ndarray | None, logits: np.ndarray) -> None:
        """Adds n samples: rows [n] int64, n sources, labels [n] int (-1 for none) or None, logits [n, K]."""
        self._waiting.append(self._table(rows, sources, labels, logits))
        if sum(map(len, self._waiting)) >= self._block:
            self._flush()

    def _table(
        self, rows: np.ndarray, sources: Sequence[str], labels: np.ndarray | None, logits: np.ndarray
    ) -> pa.Table:
        return table(rows, sources, labels, logits, self.classes, self.labelled)

    def _flush(self) -> None:
        if self._waiting:
            waiting, self._waiting = pa.concat_tables(self._waiting), []
            self._put(waiting)

    def _put(self, block: pa.Table) -> None:
        block = _flat(block, self.classes) if self.path.suffix == ".csv" else block
        if self._writer is None:
            self._writer = self._open(block.schema)
        if len(block):
            self._writer.write_table(block)

    def _open(self, columns: pa.Schema) -> Any:
        from pyarrow import csv

        try:
            if self.path.suffix == ".csv":
                return csv.CSVWriter(self._beside, columns)
            return pq.ParquetWriter(self._beside, columns, compression="zstd", write_page_checksum=True)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror or error})") from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
            self._writer.close()
            if kind is None:
                self._beside.replace(self.path)
        finally:
            self._beside.unlink(missing_ok=True)


class Predictions:
    """The predictions in a Parquet file, read block by block with their checksums verified."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with pq.ParquetFile(path) as file:
                self.samples: int = file.metadata.num_rows
                self.classes: tuple[str, ...] = tuple(json.loads(file.schema_arrow.metadata[b"classes"]))
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: not a file of predictions ({error}); evaluate the run again") from None

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Its rows in order, some thousand at a time."""
        try:
            with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
                yield from file.iter_batches(BLOCK_ROWS, columns=columns)
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{self.path}: damaged ({error}); evaluate the run again") from None

    def mistakes(self, count: int) -> pa.Table:
        """The `count` surest wrong answers, the surest first: all columns but the probabilities."""
        names = ["sample", "source", "label", "class", "predicted", "predicted_class", "confidence"]
        order = [("confidence", "descending"), ("sample", "ascending")]
        worst: pa.Table | None = None
        for block in self.blocks([*names, "correct"]):
            wrong = pa.table(block).filter(~pc.field("correct")).select(names)
            seen = wrong if worst is None else pa.concat_tables([worst, wrong])
            worst = seen.unify_dictionaries().sort_by(order).slice(0, count).combine_chunks()
        return worst if worst is not None else schema(self.classes).empty_table().select(names)
