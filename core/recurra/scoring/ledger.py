"""The ledger: which files are done, so that none is done twice. Parquet files, each of one part or a range of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recurra.durable import fsync_folder
from recurra.scoring.part_files import damaged, opened, part_name, placed, span_of, write
from recurra.scoring.schemas import LEDGER, REFUSED, SCORED

MANY = 64
"""Files in the ledger from which on they are merged."""
_ROWS = 1 << 18
_KEY = ["file", "size", "mtime_ns"]


@dataclass(frozen=True, order=True)
class Span:
    """One file of the ledger: of the parts from `first` to `last`."""

    first: int
    last: int
    path: Path

    def covers(self, other: Span) -> bool:
        """Whether it holds all that the other does."""
        return self.first <= other.first and other.last <= self.last and self.path != other.path


@dataclass(frozen=True)
class Known:
    """What the ledger says of a listing."""

    done: np.ndarray
    """[N] bool: the file is in the ledger, as it is now."""
    refused: pa.Table
    """Those of them that were refused: the ledger's columns, and `row`, the row of the listing."""


class Ledger:
    """The ledger in a folder. Who changes it holds the lock of the scores."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def spans(self) -> list[Span]:
        """Its files in order, without those that a longer one replaces."""
        kept: list[Span] = []
        found = (Span(*span, path) for path in self.folder.glob("*.parquet") if (span := span_of(path)) is not None)
        for span in sorted(found, key=lambda span: (span.first, -span.last)):
            if not kept or not kept[-1].covers(span):
                kept.append(span)
        return kept

    def last(self) -> int:
        """The highest number of a part in it; -1 where there is none."""
        return max((span.last for span in self.spans()), default=-1)

    def add(self, rows: Path, number: int) -> None:
        """The file of rows becomes that of the part."""
        placed(rows, self.folder / f"{part_name(number)}.parquet")

    def rebuild(self, predictions: Path, number: int, scratch: Path) -> None:
        """Adds the rows of a part whose predictions are there and whose rows are not, from the predictions."""
        try:
            with opened(predictions) as file:
                answered = file.read([*_KEY, "run", "when"])
        except (OSError, pa.ArrowException) as error:
            raise damaged(predictions, error) from None
        beside = scratch / f"{part_name(number)}.rebuilt.parquet"
        write(scored_rows(answered, number), beside)
        self.add(beside, number)

    def marked(self, listing: pa.Table, with_refused: bool = True) -> Known:
        """Which of the listing's files are done. Reads the ledger in blocks: memory does not grow with it."""
        paths, sizes, times = (
            listing["file"].combine_chunks(),
            listing["size"].to_numpy(),
            listing["mtime_ns"].to_numpy(),
        )
        done, refused = np.zeros(len(listing), bool), []
        for block in self._blocks():
            at = pc.index_in(block["file"], value_set=paths)  # pyright: ignore[reportAttributeAccessIssue] - made at run time
            there = np.flatnonzero(at.is_valid().to_numpy())
            rows = at.drop_null().to_numpy()
            same = (block["size"].to_numpy()[there] == sizes[rows]) & (
                block["mtime_ns"].to_numpy()[there] == times[rows]
            )
            there, rows = there[same], rows[same]
            done[rows] = True
            if with_refused:
                matched = block.take(pa.array(there)).append_column("row", pa.array(rows, pa.int64()))
                refused.append(matched.filter(pc.field("outcome") == REFUSED))
        nothing = LEDGER.append(pa.field("row", pa.int64())).empty_table()
        return Known(done, pa.concat_tables([nothing, *refused], promote_options="permissive"))

    def _blocks(self) -> Iterator[pa.Table]:
        """All of its rows, some hundred thousand at a time, of however small files."""
        waiting, rows = [], 0
        for span in self.spans():
            for batch in _batches(span.path):
                waiting.append(batch)
                rows += len(batch)
                if rows >= _ROWS:
                    yield pa.Table.from_batches(waiting).combine_chunks()
                    waiting, rows = [], 0
        if waiting:
            yield pa.Table.from_batches(waiting).combine_chunks()

    def merge(self, scratch: Path, many: int = MANY) -> None:
        """Where there are many files, the newest of them become one.

        As many are taken as leaves each file before them at least as large as all that come after it together: so of N
        rows there are some log N files after it, and a row is written again some log N times.
        """
        spans = self.spans()
        if len(spans) < many:
            return
        sizes = [_length(span.path) for span in spans]
        start, after = len(spans) - 1, sizes[-1]
        while start and sizes[start - 1] < 2 * after:
            start, after = start - 1, after + sizes[start - 1]
        # Of sizes that double, few are left to merge; then all are.
        taken = spans[start:] if len(spans) - start > many // 2 else spans
        place = self.folder / f"{part_name(taken[0].first)}-{part_name(taken[-1].last)}.parquet"
        beside = scratch / place.name
        with pq.ParquetWriter(beside, LEDGER, compression="zstd", write_page_checksum=True) as writer:
            for span in taken:
                for batch in _batches(span.path):
                    writer.write_batch(batch)
        placed(beside, place)
        self.tidy()

    def tidy(self) -> None:
        """Removes the files that a longer one replaces."""
        kept = {span.path for span in self.spans()}
        replaced = [path for path in self.folder.glob("*.parquet") if span_of(path) and path not in kept]
        for path in replaced:
            path.unlink()
        if replaced:
            fsync_folder(self.folder)


def scored_rows(answered: pa.Table, number: int) -> pa.Table:
    """The ledger's rows of scored files, from their predictions."""
    count = len(answered)
    columns = {
        **{name: answered[name] for name in _KEY},
        "outcome": pa.repeat(SCORED, count),
        "reason": pa.nulls(count, pa.string()),
        "part": pa.repeat(part_name(number), count),
        "run": answered["run"].cast(pa.string()),
        "when": answered["when"],
    }
    return pa.table([columns[name] for name in LEDGER.names], schema=LEDGER)


def uncovered(parts: dict[int, Path], spans: list[Span]) -> list[int]:
    """The numbers of the parts that no file of the ledger is of, in order."""
    numbers = np.array(sorted(parts), np.int64)
    ends = [(-2, -1), *((span.first, span.last) for span in spans), (np.iinfo(np.int64).max, 0)]
    return [
        number
        for (_, last), (first, _) in pairwise(ends)
        for number in numbers[(numbers > last) & (numbers < first)].tolist()
    ]


def _length(path: Path) -> int:
    with opened(path) as file:
        return file.metadata.num_rows


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    try:
        with opened(path) as file:
            yield from file.iter_batches(_ROWS)
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, error) from None
