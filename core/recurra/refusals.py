"""Samples that could not be used: collected, counted against `data.max_refused`, told to the user."""

from __future__ import annotations

from collections.abc import Iterable

from recurra.errors import InputError
from recurra.readers.reader import Refused

_SHOWN = 3


def shown(refused: Iterable[Refused]) -> str:
    """The first few with their reasons, in one line."""
    entries = list(refused)
    more = f"; and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
    return "; ".join(f"'{r.source}' {r.reason}" for r in entries[:_SHOWN]) + more


class Refusals:
    """The refused samples so far."""

    def __init__(self, samples: int, limit: float) -> None:
        self.samples, self.limit = samples, limit
        self.refused: list[Refused] = []

    def add(self, refused: Iterable[Refused]) -> None:
        """Some more; an InputError once they are more than the limit's part of all samples."""
        self.refused += refused
        if len(self.refused) > self.limit * self.samples:
            raise InputError(
                f"{len(self.refused)} of {self.samples} samples cannot be used, and data.max_refused allows "
                f"{self.limit:g} of them: {shown(self.refused)}"
            )

    def notes(self) -> Iterable[str]:
        """A line for the user, where there is something to say."""
        if self.refused:
            yield f"{len(self.refused)} of {self.samples} samples cannot be used: {shown(self.refused)}"
