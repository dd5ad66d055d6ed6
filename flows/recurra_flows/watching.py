"""Who watches a run: where its progress is shown, and where its workers' output goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from recurra.progress import Lines, Progress

if TYPE_CHECKING:
    from recurra.store import Outcome


def _unseen(role: str, outcome: Outcome) -> None:
    del role, outcome


def _undivided(role: str) -> Progress:
    raise NotImplementedError(role)  # each watch that has no parts puts its own progress here


@dataclass(frozen=True)
class Watch:
    """What a run is shown on."""

    progress: Progress = field(default_factory=Lines)
    stage_done: Callable[[str, Outcome], None] = _unseen
    """Told of each stage, by its role, as it ends."""
    logs: Path | None = None
    """The folder where each worker's output is kept; None: it goes to standard error."""
    part: Callable[[str], Progress] = _undivided
    """Where the stage of a role shows its progress; by default where the run does. Stages that run at once have parts
    of their own.
    """
    logged: bool = False
    """Whether what it is told goes to Prefect's log."""

    def __post_init__(self) -> None:
        if self.part is _undivided:
            object.__setattr__(self, "part", lambda _: self.progress)

    def log(self, role: str) -> Path | None:
        """The file for the worker of the stage of that role."""
        return self.logs / f"{role}.log" if self.logs else None


_current: ContextVar[Watch | None] = ContextVar("watch", default=None)


def current() -> Watch | None:
    """The watch that is kept; None where nobody set one."""
    return _current.get()


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
