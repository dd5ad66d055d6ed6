"""Who watches a run: where its progress is shown, and where its workers' output goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from recurra.progress import Lines, Progress
from recurra.store import Outcome


def _unseen(role: str, outcome: Outcome) -> None:
    del role, outcome


@dataclass(frozen=True)
class Watch:
    """What a run is shown on."""

    progress: Progress = field(default_factory=Lines)
    stage_done: Callable[[str, Outcome], None] = _unseen
    """Told of each stage, by its role, as it ends."""
    logs: Path | None = None
    """The folder where each worker's output is kept; None: it goes to standard error."""

    def log(self, role: str) -> Path | None:
        """The file for the worker of the stage of that role."""
        return self.logs / f"{role}.log" if self.logs else None


_current: ContextVar[Watch | None] = ContextVar("watch", default=None)


def watch() -> Watch:
    """The watch that is kept; plain lines on standard error where nobody set one (a deployment)."""
    return _current.get() or Watch()


@contextmanager
def watched(by: Watch) -> Iterator[None]:
    """Within the block `by` is the watch."""
    token = _current.set(by)
    try:
        yield
    finally:
        _current.reset(token)
