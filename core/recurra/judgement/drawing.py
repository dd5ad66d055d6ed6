"""Which samples are compared: rows drawn evenly from each class, with no chance in it."""

from __future__ import annotations

import numpy as np


def shares(available: np.ndarray, count: int) -> np.ndarray:
    """[K] int64: `count` samples in all, as equal a number of each class as its `available` [K] allow."""
    taken = np.zeros(len(available), np.int64)
    while (left := min(count, int(available.sum())) - int(taken.sum())) > 0:
        short = np.flatnonzero(taken < available)
        if left < len(short):
            taken[short[:left]] += 1
        else:
            taken[short] += np.minimum(available[short] - taken[short], left // len(short))
    return taken


def at_most(counts: np.ndarray, limit: int) -> np.ndarray:
    """[K] int64: the counts, made smaller in proportion until they are about `limit` in all; no class is lost."""
    total = int(counts.sum())
    if total <= limit:
        return counts
    return np.maximum(np.minimum(counts, 1), counts * limit // total)


def among(classes: int, most: int) -> np.ndarray:
    """[n] int64 in order: all classes, or `most` of them, spread evenly, the first and the last among them."""
    return np.linspace(0, classes - 1, min(most, classes)).round().astype(np.int64)


def evenly(labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Rows [sum of counts] int64 in order: so many of each class, spread over all of its own in labels [N]."""
    rows = []
    for number, count in enumerate(counts):
        own = np.flatnonzero(labels == number)
        rows.append(own[(np.arange(count) * len(own)) // max(1, count)])
    return np.sort(np.concatenate(rows))
