"""Which samples of a new dataset a champion's dataset had: by their sources' names, and by their pixels.

A name alone does not tell: an array's rows can be put in another order, a file can be replaced. Pixels are compared by
fingerprints of 64 bits, one for each sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recurra.columns import damage_named, opened
from recurra.dataset import Split

ROWS, BYTES = 512, 4 << 20
"""Samples looked at together, at most, and bytes of their pixels: some arrays of float64 are made of them."""
_KEYS = 20261123


def rows_at_once(shape: Sequence[int], dtype: np.typing.DTypeLike) -> int:
    """How many samples of that shape [T, H, W, C] are looked at together."""
    return max(1, min(ROWS, BYTES // (int(np.prod(shape)) * np.dtype(dtype).itemsize)))


def sources_of(split: Split) -> pa.Array:
    """Where each sample came from, [N] strings, without a Python object each."""
    chunks: list[pa.Array] = []
    for path, footer in zip(split.files, split.footers, strict=True):
        with damage_named(path), opened(path, footer) as parquet:
            chunks += parquet.read(columns=["source"])["source"].chunks
    return pa.chunked_array(chunks, pa.string()).combine_chunks()


def places(names: pa.Array, among: pa.Array) -> np.ndarray:
    """The row of each name among others, [n] int64; -1 where it is not there."""
    found = pc.call_function("index_in", [names], pc.SetLookupOptions(among))
    return found.fill_null(-1).to_numpy().astype(np.int64)


def fingerprints(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """[N] uint64, equal for equal pixels, of blocks [n, ...].

    The sum, modulo 2^64, of the words of a sample, each mixed with a key of its place by the finaliser of SplitMix64
    (Steele, Lea and Flood, 2014). Two samples that differ agree with a chance near 2^-64.
    """
    found = [_fingerprints(block) for block in blocks]
    return np.concatenate(found) if found else np.empty(0, np.uint64)


def _fingerprints(block: np.ndarray) -> np.ndarray:
    flat = np.ascontiguousarray(block).reshape(len(block), -1).view(np.uint8)
    if flat.shape[1] % 8:
        flat = np.pad(flat, ((0, 0), (0, -flat.shape[1] % 8)))
    keys = np.random.Generator(np.random.Philox(_KEYS)).integers(0, 2**64, flat.shape[1] // 8, np.uint64)
    words = flat.view("<u8") + keys
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        words ^= words >> np.uint64(shift)
        words *= np.uint64(factor)
    words ^= words >> np.uint64(31)
    return words.sum(axis=1, dtype=np.uint64)


@dataclass(frozen=True)
class Known:
    """The samples of a champion's dataset."""

    sources: pa.Array
    """[N] strings."""
    prints: np.ndarray
    """[N] uint64."""
    learnt: np.ndarray
    """[N] bool: of the training or the validation split."""
    tested: np.ndarray
    """[N] bool: of the test split."""

    def compare(self, sources: pa.Array, prints: np.ndarray) -> Sameness:
        """What of some samples is known, by their sources [n] and fingerprints [n]."""
        where = places(sources, self.sources)
        there = where >= 0
        at = np.where(there, where, 0)
        same = there & (self.prints[at] == prints)
        learnt = (there & self.learnt[at]) | np.isin(prints, self.prints[self.learnt])
        return Sameness(where, there & ~same, ~there, learnt, same & self.tested[at])


@dataclass(frozen=True)
class Sameness:
    """What of some samples a champion's dataset had."""

    where: np.ndarray
    """[n] int64, the row of the sample of that name; -1 where there is none."""
    changed: np.ndarray
    """[n] bool: a sample of that name was there, with other pixels."""
    added: np.ndarray
    """[n] bool: no sample of that name was there."""
    learnt: np.ndarray
    """[n] bool: the champion was trained or validated on a sample of that name or of those pixels."""
    tested: np.ndarray
    """[n] bool: the very sample is of the champion's own test split."""

    @property
    def fresh(self) -> np.ndarray:
        """[n] bool: added or changed."""
        return self.added | self.changed
