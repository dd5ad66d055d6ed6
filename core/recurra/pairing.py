"""Which of the same test samples several networks had right, sample by sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class Answered:
    """Which of its test samples a network had right."""

    samples: np.ndarray
    """[n] int64, a number for each sample, the same in whichever seed's test split it is."""
    correct: np.ndarray
    """[n] bool."""
    labels: np.ndarray
    """[n] int32, the class that each sample is of."""

    def of(self, label: int) -> Answered:
        """The samples of one class alone."""
        rows = self.labels == label
        return Answered(self.samples[rows], self.correct[rows], self.labels[rows])


def paired(pairs: Sequence[tuple[Answered, Answered]]) -> tuple[np.ndarray, np.ndarray]:
    """(differences [N, S] int8, tested [N, S] bool) over all samples that any of S seeds has in its test split."""
    numbers = np.unique(np.concatenate([ours.samples for ours, _ in pairs]))
    differences = np.zeros((len(numbers), len(pairs)), np.int8)
    tested = np.zeros(differences.shape, bool)
    for seed, (ours, theirs) in enumerate(pairs):
        rows = np.searchsorted(numbers, ours.samples)
        differences[rows, seed] = ours.correct.astype(np.int8) - theirs.correct.astype(np.int8)
        tested[rows, seed] = True
    return differences, tested


def numbered(sources: Sequence[pa.ChunkedArray]) -> Iterator[np.ndarray]:
    """For each list of sources the number of each, [n] int64; equal sources have equal numbers."""
    whole = pa.chunked_array([chunk for column in sources for chunk in column.chunks], pa.string())
    codes = whole.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    start = 0
    for column in sources:
        yield codes[start : start + len(column)]
        start += len(column)
