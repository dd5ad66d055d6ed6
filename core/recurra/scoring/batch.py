"""A batch of new files: read as one source, answered, and written as a part that is whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from recurra import predictions
from recurra.experiment import Data
from recurra.readers.files import Entry, FileSource, Frames
from recurra.readers.names import unescaped
from recurra.readers.reader import Kind, Refused, Samples
from recurra.scoring.inbox import identity
from recurra.scoring.ledger import scored_rows
from recurra.scoring.part_files import part_name, write
from recurra.scoring.schemas import LEDGER, REFUSED, answers

PREDICTIONS, ROWS = "predictions.parquet", "ledger.parquet"


@dataclass(frozen=True)
class Origin:
    """Whose answers they are."""

    run: str
    backend: str
    classes: tuple[str, ...]


@dataclass
class Batch:
    """Some new files of a listing, and what was made of them so far."""

    pending: pa.Table
    inbox: str
    rows: list[np.ndarray] = field(default_factory=list)
    logits: list[np.ndarray] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def __post_init__(self) -> None:
        names, frames = self.pending["file"].to_pylist(), self.pending["frames"].to_pylist()
        self.entries: list[Entry] = [
            unescaped(name) if parts is None else Frames(unescaped(name), tuple(map(unescaped, parts)))
            for name, parts in zip(names, frames, strict=True)
        ]

    def source(self, kind: Kind, data: Data) -> FileSource:
        """The files as a source without labels."""
        count = len(self.entries)
        labels, splits = np.full(count, -1, np.int32), np.full(count, "", "<U10")
        samples = Samples(self.pending["file"].to_pylist(), labels, splits, {})
        return FileSource(kind, (), samples, (), self.inbox, self.entries, data.max_pixels)

    def answered(self, rows: np.ndarray, logits: np.ndarray | None, refused: Sequence[Refused]) -> None:
        """Adds the answers [n, K] to rows [n], and what could not be read."""
        self.refused += refused
        if logits is not None:
            self.rows.append(rows)
            self.logits.append(logits)

    def write(self, folder: Path, number: int, origin: Origin) -> None:
        """The part, as a folder of its number: predictions where there are any, and the ledger's rows.

        A file that was changed or removed while it was read is in neither.
        """
        same, when = self._unchanged(), datetime.now(UTC)
        beside = folder / f"{part_name(number)}.tmp"
        beside.mkdir()
        answered = self._predictions(same, origin, when)
        if len(answered):
            write(answered, beside / PREDICTIONS)
        reasons = {each.row: each.reason for each in self.refused if same[each.row]}
        refused = refused_rows(
            self.pending.take(pa.array(sorted(reasons), pa.int64())), [reasons[row] for row in sorted(reasons)]
        )
        write(
            pa.concat_tables([scored_rows(answered, number), stamped(refused, number, origin.run, when)]), beside / ROWS
        )
        beside.rename(folder / part_name(number))

    def _unchanged(self) -> np.ndarray:
        """[n] bool: whether each file is still what was listed."""
        names = ("size", "mtime_ns", "ctime_ns")
        listed = np.stack([self.pending[name].to_numpy() for name in names], 1)
        now = np.array([_status(self.inbox, entry) for entry in self.entries], np.int64).reshape(-1, len(names))
        return (listed == now).all(1)

    def _predictions(self, same: np.ndarray, origin: Origin, when: datetime) -> pa.Table:
        columns = answers(origin.classes)
        if not self.rows:
            return columns.empty_table()
        rows, logits = np.concatenate(self.rows), np.concatenate(self.logits)
        rows, logits = rows[same[rows]], logits[same[rows]]
        found = predictions.table(rows, [""] * len(rows), None, logits, origin.classes, labelled=False)
        at = found.column_names.index("probabilities")
        found = found.set_column(at, "probabilities", found[at].cast(columns.field("probabilities").type))
        files = self.pending.take(pa.array(rows))
        own = {"run": origin.run, "backend": origin.backend}
        made = {name: pa.array([text] * len(rows), columns.field(name).type) for name, text in own.items()}
        made["when"] = pa.repeat(pa.scalar(when, columns.field("when").type), len(rows))
        tables = (files, found)
        for name in columns.names:
            made.setdefault(name, next((each[name] for each in tables if name in each.column_names), None))
        return pa.table([made[name] for name in columns.names], schema=columns)


def refused_rows(files: pa.Table, reasons: Sequence[str]) -> pa.Table:
    """The ledger's rows of files that cannot be read, yet without part, run and time."""
    outcome = pa.repeat(REFUSED, len(files))
    return (
        files.select(["file", "size", "mtime_ns"])
        .append_column("outcome", outcome)
        .append_column("reason", pa.array(reasons, pa.string()))
    )


def stamped(rows: pa.Table, number: int, run: str, when: datetime) -> pa.Table:
    """The rows with the columns that are the same for all of a part."""
    count = len(rows)
    values = {
        "part": pa.scalar(part_name(number)),
        "run": pa.scalar(run),
        "when": pa.scalar(when, LEDGER.field("when").type),
    }
    for name, value in values.items():
        rows = rows.append_column(name, pa.repeat(value, count))
    return rows.select(LEDGER.names).cast(LEDGER)


def batches(file: Path, start: int, stop: int, size: int) -> Iterator[pa.Table]:
    """Some rows of a listing in an Arrow file, `size` at a time; the file is mapped, not read."""
    with pa.memory_map(str(file)) as source:
        whole = pa.ipc.open_file(source).read_all()
        for at in range(start, stop, size):
            yield whole.slice(at, min(size, stop - at)).combine_chunks()


def keep(listing: pa.Table, file: Path) -> None:
    """Writes a listing for `batches`."""
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, listing.schema) as writer:
        writer.write_table(listing)


def _status(inbox: str, entry: Entry) -> tuple[int, int, int]:
    paths = entry.paths() if isinstance(entry, Frames) else (entry,)
    try:
        return identity([os.stat(f"{inbox}/{path}") for path in paths])  # noqa: PTH116 - names of any bytes, and many
    except OSError:
        return -1, -1, -1
