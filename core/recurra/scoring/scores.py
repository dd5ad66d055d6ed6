"""The scores of one name: their folder, who may write to it, the commit of a part (the protocol: `recurra.scoring`)."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from threading import RLock

import pyarrow as pa
import pyarrow.compute as pc

from recurra.champion.rules import NAME
from recurra.errors import InputError, RecurraError
from recurra.home import Home
from recurra.readers.names import escaped
from recurra.scoring import about, part_files
from recurra.scoring.batch import PREDICTIONS, ROWS, refused_rows, stamped
from recurra.scoring.ledger import Ledger, uncovered
from recurra.scoring.schemas import LEDGER, REFUSED


@dataclass(frozen=True)
class Committed:
    """What a part came to."""

    scored: int
    refused: pa.Table
    """The ledger's rows."""


class Scores:
    """The scores of one name, in a folder of their own."""

    def __init__(self, home: Home, name: str) -> None:
        if not re.fullmatch(NAME, name):
            raise InputError(f"name '{name}': expected letters, digits, and . _ - between them, 80 at most")
        self.name, self.root = name, home.path / "scores"
        self.folder = self.root / name
        self.predictions, self.refused = self.folder / "predictions", self.folder / "refused"
        self.ledger, self._tmp = Ledger(self.folder / "ledger"), self.folder / "tmp"
        self._held, self._writing = False, RLock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the scores; an InputError where another process does. The kernel frees them however the holder ends.

        After the block no thread of this process writes to them: what it is at is ended, nothing more is begun.
        """
        from filelock import FileLock, Timeout

        part_files.made(self.folder)
        lock, holder = FileLock(self.folder / "score.lock", thread_local=False), self.folder / "score.pid"
        try:
            lock.acquire(timeout=0)
        except Timeout:
            pid = "unknown"
            with suppress(OSError):  # it has not written it yet, or is ending
                pid = holder.read_text() or pid
            raise InputError(
                f"scores '{self.name}' are being written by another process (pid {pid}); wait for its end, or choose"
                " another --name"
            ) from None
        try:
            holder.write_text(str(os.getpid()))
            self._held = True
            yield
        finally:
            self._held = False
            with self._writing:
                holder.unlink(missing_ok=True)
                lock.release()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Within the block the scores are not let go. RecurraError where they are not held, or no longer."""
        with self._writing:
            if not self._held:
                raise RecurraError(f"scores '{self.name}' are not held any more: the pass has ended")
            yield

    def accept(self, inbox: Path, kind: str, classes: Sequence[str], follows: bool = False) -> None:
        """InputError unless these scores are of that inbox and such answers; the first call decides. `follows`: the
        answers are a champion's, who may have other classes than the one before.
        """
        _check_apart(inbox, self.root)
        wanted = about.About(inbox=escaped(str(inbox)), kind=kind, classes=tuple(classes))
        file = self.folder / "score.json"
        known = about.read(file)
        if known is not None:
            known.check(wanted, self.name, file, follows)
        if known != wanted:
            about.write(file, wanted)

    def recover(self) -> int:
        """Makes good what a crash left undone; how many parts were missing in the ledger. The lock is held."""
        shutil.rmtree(self._tmp, ignore_errors=True)
        for folder in (self._tmp, self.predictions, self.ledger.folder, self.refused):
            part_files.made(folder)
        parts = dict(part_files.prediction_parts(self.predictions))
        missing = uncovered(parts, self.ledger.spans())
        for number in missing:
            self.ledger.rebuild(parts[number], number, self._tmp)
        self.ledger.tidy()
        return len(missing)

    def scratch(self) -> Path:
        """A new folder for what is being made."""
        return Path(mkdtemp(dir=self._tmp))

    def next(self) -> int:
        """The number that is higher than all before. Once `recover` was called, the ledger has them all."""
        return self.ledger.last() + 1

    def commit(self, part: Path) -> Committed:
        """Takes over a part that is whole: a folder of its number, as `Batch.write` leaves it."""
        if not (part / ROWS).exists():  # broken off after its rename, by Ctrl-C
            return Committed(0, LEDGER.empty_table())
        number, rows = int(part.name), part_files.opened(part / ROWS).read()
        refused = rows.filter(pc.field("outcome") == REFUSED)
        if (part / PREDICTIONS).exists():
            day = self.predictions / f"day={rows['when'][0].as_py():%Y-%m-%d}"
            part_files.made(day)
            part_files.placed(part / PREDICTIONS, day / f"{part_files.part_name(number)}.parquet")
        if len(rows):
            self.ledger.add(part / ROWS, number)
        shutil.rmtree(part)
        return Committed(len(rows) - len(refused), refused)

    def refuse(self, files: pa.Table, number: int, run: str) -> pa.Table:
        """The ledger's rows of files that a listing refuses, in a part of their own."""
        rows = stamped(refused_rows(files, files["reason"].to_pylist()), number, run, datetime.now(UTC))
        beside = self._tmp / f"{part_files.part_name(number)}.refused.parquet"
        part_files.write(rows, beside)
        self.ledger.add(beside, number)
        return rows

    def tidy(self) -> None:
        """Merges the ledger where it has many files, and removes what is left of the work."""
        self.ledger.merge(self._tmp)
        for left in self._tmp.iterdir():
            shutil.rmtree(left, ignore_errors=True)


def _check_apart(inbox: Path, scores: Path) -> None:
    within, around = inbox.is_relative_to(scores.resolve()), scores.resolve().is_relative_to(inbox)
    if within or around:
        where = f"lies {'in' if within else 'around'} {scores}"
        raise InputError(f"{escaped(str(inbox))}: {where}, where scores are kept; use an inbox of its own")
