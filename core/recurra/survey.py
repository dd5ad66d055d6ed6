"""What a source's samples look like, told from their headers, and what preprocessing will make of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from recurra.contract import SampleShape
from recurra.environment import usable_cores
from recurra.errors import InputError
from recurra.experiment import Data
from recurra.progress import Progress, Silent
from recurra.readers.reader import Form, Refused, Source
from recurra.recipe import Recipe

BLOCK_BYTES = 16 * 2**20
BLOCK_ROWS = 512
HEADERS = 256
T = TypeVar("T")
R = TypeVar("R")


def in_order(work: Callable[[T], R], items: Iterable[T], threads: int | None = None) -> Iterator[R]:
    """The results of `work`, done in threads, in the order of the items; a few are in flight at once and no more."""
    threads = threads or min(8, usable_cores())
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@dataclass(frozen=True)
class Survey:
    """The forms of a source's samples. A form is kept once, however many samples have it."""

    forms: tuple[Form, ...]
    codes: np.ndarray
    """[N] int32, an index into `forms`; -1 for a sample that its header refuses."""
    refused: tuple[Refused, ...]

    @property
    def lengths(self) -> np.ndarray:
        """[N] int32, frames of each sample (0 where refused)."""
        return np.array([*(form.frames for form in self.forms), 0], np.int32)[self.codes]

    @property
    def bytes_each(self) -> np.ndarray:
        """[N] int64, bytes of each sample's decoded pixels (0 where refused)."""
        sizes = [f.frames * f.height * f.width * f.channels * np.dtype(f.dtype).itemsize for f in self.forms]
        return np.array([*sizes, 0], np.int64)[self.codes]

    def blocks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """The rows in their order, in blocks of at most some MiB of decoded pixels (at least one row)."""
        ends = np.cumsum(self.bytes_each[rows])
        start = 0
        while start < len(rows):
            before = ends[start - 1] if start else 0
            stop = int(np.searchsorted(ends, before + BLOCK_BYTES, side="right"))
            stop = min(max(stop, start + 1), start + BLOCK_ROWS)
            yield rows[start:stop]
            start = stop


def survey(source: Source, progress: Progress | None = None) -> Survey:
    """Reads every sample's header."""
    progress = progress or Silent()
    count = len(source.samples)
    blocks = [np.arange(start, min(start + HEADERS, count)) for start in range(0, count, HEADERS)]
    codes = np.empty(count, np.int32)
    known: dict[Form, int] = {}
    refused: list[Refused] = []
    progress.begin("survey", count, "samples")
    for rows, forms in zip(blocks, in_order(source.forms, blocks), strict=True):
        refused += [form for form in forms if isinstance(form, Refused)]
        codes[rows] = [-1 if isinstance(form, Refused) else known.setdefault(form, len(known)) for form in forms]
        progress.advance(int(rows[-1]) + 1)
    progress.end()
    return Survey(tuple(known), codes, tuple(refused))


def decide(source: Source, found: Survey, data: Data, training: np.ndarray) -> Recipe:
    """The recipe that fits the forms and `data`; `training` [N] bool says whose lengths set the default clip length."""
    forms = found.forms
    if not forms:
        raise InputError("no sample of the source can be read")
    colour = any(form.channels == 3 for form in forms) if data.channels == "auto" else data.channels == "rgb"
    remove = data.normalise.remove
    as_float = remove != "none" or any(form.dtype == "float32" for form in forms)
    height, width = data.size or _common_size(source.samples.sources, found)
    if height * width > data.max_pixels:
        raise InputError(
            f"data.size: {height}x{width} is more than data.max_pixels ({data.max_pixels:,}) allows; set a smaller size"
        )
    frames = 1
    if source.kind == "clip":
        frames = data.clip.frames or max(1, int(np.median(found.lengths[training]) + 0.5))
    sample = SampleShape(source.kind, frames, height, width, 3 if colour else 1)
    return Recipe(sample, "float32" if as_float else "uint8", data.fit, data.clip.fit, remove)


def _common_size(sources: Sequence[str], found: Survey) -> tuple[int, int]:
    sizes = np.array([(form.height, form.width) for form in found.forms], np.int64).reshape(-1, 2)
    distinct, size_of_form = np.unique(sizes, axis=0, return_inverse=True)
    if len(distinct) == 1:
        return int(distinct[0][0]), int(distinct[0][1])
    size_of_form = np.append(size_of_form.reshape(-1), -1)[found.codes]
    counts = np.bincount(size_of_form[size_of_form >= 0])
    first = [int(np.flatnonzero(size_of_form == index)[0]) for index in np.argsort(-counts, kind="stable")[:2]]
    named = [f"'{sources[row]}' is {'x'.join(map(str, distinct[size_of_form[row]]))}" for row in first]
    raise InputError(
        f"data.size: frames have {len(distinct)} different sizes (height x width): {' and '.join(named)}; "
        "set data.size to the size that all shall get"
    )
