"""How an inbox is scored."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from recurra.champion.rules import NAME
from recurra.experiment import Part


class Scoring(Part):
    """What `recurra score` goes by."""

    name: Annotated[str, Field(pattern=NAME)] | None = None
    """Under which name the scores are kept; left out: the champion's, or the experiment's of the run."""
    batch: Annotated[int, Field(ge=1, le=1_000_000)] = 4096
    """Files that are scored and then kept together; what a crash can cost is the work on so many."""
    backend: str | None = None
    """The backend that answers, where it is not to be the one that was trained; the weights are the same."""
    settle: Annotated[float, Field(ge=0, le=86_400)] = 5.0
    """Seconds that a file must have been left alone; younger ones wait for the next pass."""
    keep_refused: bool = False
    """Whether files that cannot be read stay in the inbox, rather than being moved out of it."""
