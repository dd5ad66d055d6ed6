"""A new dataset as a champion sees it: pixels by the champion's own recipe, labels by the champion's own classes.

Stored pixels are what the recipe (size, channels, frames, fit, background removal, dtype) made of the source. Where a
champion's recipe is the new dataset's, its stored pixels are the champion's too; where it is another (a size that was
set anew, a median length that moved), the source's samples are prepared once more, by the champion's recipe. Scale and
offset are not in the stored pixels: they are applied when a network is asked, and are always the champion's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import pyarrow as pa

from recurra.champion.sameness import places, rows_at_once, sources_of
from recurra.dataset import Dataset
from recurra.errors import RecurraError
from recurra.memory import available_memory
from recurra.preprocess import prepare
from recurra.readers.reader import Source


@dataclass(frozen=True)
class Seen:
    """One split."""

    pixels: np.ndarray
    """[N, T, H, W, C] of the champion's shape and dtype."""
    labels: np.ndarray
    """[N] int64, indices into the champion's classes, followed by those that it does not know."""
    sources: pa.Array
    """[N] strings."""
    readable: np.ndarray
    """[N] bool; pixels of the others mean nothing."""

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows and their pixels, some hundred at once."""
        step = rows_at_once(self.pixels.shape[1:], self.pixels.dtype)
        for start in range(0, len(self.labels), step):
            rows = slice(start, min(start + step, len(self.labels)))
            yield rows, self.pixels[rows]


def classes_seen(new: Dataset, champion: Dataset) -> tuple[str, ...]:
    """The champion's classes, followed by those of the new dataset that it does not know."""
    return champion.classes + tuple(name for name in new.classes if name not in champion.classes)


def as_seen(new: Dataset, champion: Dataset, source: Callable[[], Source], scratch: Path) -> dict[str, Seen]:
    """Each split of the new dataset. `source`, the new dataset's, is opened where recipes differ; what does not fit
    into memory lies in `scratch`.
    """
    names = classes_seen(new, champion)
    numbers = np.array([names.index(name) for name in new.classes], np.int64)
    same = new.recipe == champion.recipe
    limit = available_memory() // 4 // len(new.splits)
    pixels = {name: split.pixels(scratch, limit) for name, split in new.splits.items()} if same else {}
    readable = {name: np.ones(len(split), bool) for name, split in new.splits.items()}
    sources = {name: sources_of(split) for name, split in new.splits.items()}
    if not same:
        opened = source()
        for name in new.splits:
            pixels[name], readable[name] = _prepared(sources[name], opened, champion, scratch)
    return {
        name: Seen(pixels[name], numbers[split.labels()], sources[name], readable[name])
        for name, split in new.splits.items()
    }


def _prepared(sources: pa.Array, source: Source, champion: Dataset, scratch: Path) -> tuple[np.ndarray, np.ndarray]:
    """(pixels, readable) of the source's samples of those names, by the champion's recipe."""
    wanted = places(sources, pa.array(source.samples.sources, pa.string()))
    if (wanted < 0).any():
        raise RecurraError("the source has changed since its dataset was made; run again")
    place = np.full(len(source.samples), -1, np.int64)
    place[wanted] = np.arange(len(wanted))
    scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=scratch) as file:
        shape = (len(wanted), *champion.sample.array)
        pixels = np.memmap(file, champion.dtype, mode="w+", shape=shape) if len(wanted) else np.empty(shape)
    readable = np.zeros(len(wanted), bool)
    for found, made, _ in prepare(source, champion, wanted):
        pixels[place[found]] = made
        readable[place[found]] = True
    return pixels, readable


def not_comparable(new: Dataset, champion: Dataset) -> str:
    """Why a champion cannot answer the samples of a new dataset at all; empty where it can."""
    if new.sample.kind != champion.sample.kind:
        return f"the champion recognises {champion.sample.kind}s, and the data are {new.sample.kind}s now"
    if not set(new.classes) & set(champion.classes):
        return "the champion knows none of the classes that there are now"
    return ""
