"""A run's source, opened once: for what must be known before the run begins, for the cache's key and for the task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from recurra import stages
from recurra.experiment import Experiment

if TYPE_CHECKING:
    from recurra.readers.reader import Source

_kept: ContextVar[dict[str, Source] | None] = ContextVar("sources", default=None)


@contextmanager
def opened_once() -> Iterator[None]:
    """Within the block a source that is open is not opened again. Of blocks in blocks the first to end lets it go: it
    can hold what an archive unpacks to, and nobody needs it once there is a dataset.
    """
    kept = _kept.get()
    token = _kept.set(kept := {} if kept is None else kept)
    try:
        yield
    finally:
        kept.clear()
        _kept.reset(token)


def opened(experiment: Experiment, home: Path) -> Source:
    """The experiment's source; downloads and digests are kept in `home`."""
    # Which of its samples are used, and how they are changed while training, is nothing to a source.
    kept, key = _kept.get(), f"{home} {experiment.data.model_dump_json(exclude={'augment', 'train_fraction'})}"
    if kept is not None and key in kept:
        return kept[key]
    source = stages.open_source(experiment, home)
    if kept is not None:
        kept[key] = source
    return source
