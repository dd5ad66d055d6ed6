"""One pass over an inbox, without the network: what is new, and what becomes of a part that a worker has made."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from recurra.readers.reader import Kind
from recurra.scoring.aside import Aside, uncover
from recurra.scoring.inbox import Inbox, listed, settled
from recurra.scoring.ledger import Known
from recurra.scoring.scores import Scores
from recurra.scoring.settings import Scoring
from recurra.scoring.tally import SHOWN, Tally

NAMED = 3
"""Files that a note names."""


class OnePass:
    """A pass by the holder of the scores' lock. `tally` counts.

    RecurraError from every method once the scores are held no longer: a thread may outlive the pass that it works for.
    """

    def __init__(self, scores: Scores, inbox: Path, kind: Kind, settings: Scoring, tally: Tally) -> None:
        self.scores, self.inbox, self.settings, self.tally = scores, inbox, settings, tally
        self.kind: Kind = kind

    def begin(self) -> pa.Table:
        """Makes good what a crash left undone, and refuses what is none of the kind by its name. The listing's rows of
        what is to be read: new files that have settled, the oldest first.
        """
        with self.scores.writing():
            if missing := self.scores.recover():
                self.tally.notes.append(
                    f"a crash had left {missing} parts without their rows in the ledger; they have them now"
                )
            found = self._found()
            known = self.scores.ledger.marked(found.listing, with_refused=not self.settings.keep_refused)
            self._finish_setting_aside(found, known)
            ahead = self._ahead(found, known)
            unfit = ahead.filter(pc.field("reason").is_valid())
            if len(unfit):
                self.refuse(unfit)
            return ahead.filter(pc.field("reason").is_null())

    def commit(self, part: Path, files: pa.Table) -> None:
        """Commits a part that is whole, and sets aside what it refuses. `files`: a listing that has all of it."""
        with self.scores.writing():
            done = self.scores.commit(part)
            self.tally.scored += done.scored
            self._set_aside(done.refused, files)

    def refuse(self, files: pa.Table) -> None:
        """Refuses files of a listing for the `reason` that it gives, in a part of their own."""
        with self.scores.writing():
            self._set_aside(self.scores.refuse(files, self.scores.next(), self.tally.run), files)

    def end(self) -> None:
        """Clears up."""
        with self.scores.writing():
            self.scores.tidy()

    def _found(self) -> Inbox:
        found = listed(self.inbox, self.kind)
        if not found.hidden:
            return found
        for folder in found.hidden:
            uncover(Path(f"{self.inbox}/{folder}"))
        return listed(self.inbox, self.kind)

    def _ahead(self, found: Inbox, known: Known) -> pa.Table:
        ready = settled(found.listing, self.settings.settle)
        self.tally.waiting = int((~known.done & ~ready).sum()) + found.unfinished
        self.tally.notes += [f"cannot be listed: {line}" for line in found.unread]
        order = [("mtime_ns", "ascending"), ("file", "ascending")]
        return found.listing.filter(pa.array(~known.done & ready)).sort_by(order)

    def _finish_setting_aside(self, found: Inbox, known: Known) -> None:
        """Of refused files that are in the inbox: after a crash, or they were to stay until now, or were put back."""
        stays = self._moved(known.refused.drop_columns(["row"]), found.listing.take(known.refused["row"]))
        moved = [name for name, why in zip(known.refused["file"].to_pylist(), stays, strict=True) if not why]
        if moved:
            named = ", ".join(moved[:NAMED]) + (", ..." if len(moved) > NAMED else "")
            self.tally.notes.append(f"refused before, and moved out now: {named} (`touch` one to have it tried again)")

    def _set_aside(self, rows: pa.Table, listing: pa.Table) -> None:
        at = pc.index_in(rows["file"], value_set=listing["file"].combine_chunks())  # pyright: ignore[reportAttributeAccessIssue] - made at run time
        stays = self._moved(rows, listing.take(at))
        self.tally.refused += len(rows)
        for row, why in list(zip(rows.to_pylist(), stays, strict=True))[: SHOWN - len(self.tally.reasons)]:
            told = {"file": row["file"], "reason": row["reason"]}
            self.tally.reasons.append({**told, "stays": why} if why else told)

    def _moved(self, rows: pa.Table, files: pa.Table) -> list[str]:
        """Why each refused file stays in the inbox; empty for one that was moved, or is to stay."""
        if self.settings.keep_refused or not len(rows):
            return [""] * len(rows)
        aside = Aside(self.inbox, self.scores.refused, self.scores.scratch())
        return [
            aside.put({**row, "when": row["when"].isoformat()}, file["frames"], file["linked"])
            for row, file in zip(rows.to_pylist(), files.to_pylist(), strict=True)
        ]
