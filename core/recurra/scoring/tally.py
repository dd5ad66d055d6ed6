"""What a pass over an inbox came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from recurra.progress import duration

SHOWN = 1000
"""Refused files that are told by name; all of them are in the ledger."""


@dataclass
class Tally:
    """Counts of one pass, and what is to be said of it."""

    name: str
    run: str
    backend: str
    folder: str
    scored: int = 0
    refused: int = 0
    waiting: int = 0
    """Files that are new and were changed just now, or while they were read; a later pass has them."""
    seconds: float = 0.0
    reasons: list[dict[str, str]] = field(default_factory=list)
    """`file` and `reason` of the first that were refused; `stays`, why one was not moved."""
    notes: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Files a second."""
        return (self.scored + self.refused) / max(1e-9, self.seconds)

    def line(self) -> str:
        """It in one line."""
        counts = f"{self.scored:,} scored, {self.refused:,} refused, {self.waiting:,} waiting"
        rate = f"  {self.rate:,.0f} files/s" if self.scored + self.refused else ""
        return f"{self.name}  {counts}  {duration(self.seconds)}{rate}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "seconds": round(self.seconds, 3), "files_per_second": round(self.rate, 1)}
