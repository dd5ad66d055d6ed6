"""What the judge sees of a whole split, read once and never held."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recurra.contract import Classifier
from recurra.dataset import Split
from recurra.judgement.drawing import evenly
from recurra.judgement.memorisation import Nearest
from recurra.judgement.motion import Motion, joined, motion
from recurra.judgement.sight import Blocks, look
from recurra.judgement.space import Space

COMPARED = 5_000
"""Samples of each kind at most that are compared: it takes the distances of all pairs."""


@dataclass(frozen=True)
class Observed:
    """The N samples of a split, of which n are compared with other ones."""

    split: Split
    labels: np.ndarray
    """[N] int64."""
    seen: np.ndarray
    """[N] int64, what the judge takes each for; -2 where its answer is no finite number."""
    rows: np.ndarray
    """[n] int64, which are compared, in order."""
    points: np.ndarray
    """[n, D] float64, where those lie in the judge's space."""
    motion: Motion
    """Of those."""

    @property
    def compared(self) -> np.ndarray:
        """[n] int64, the labels of those."""
        return self.labels[self.rows]


def observe(
    judge: Classifier,
    space: Space,
    split: Split,
    blocks: Blocks,
    counts: np.ndarray,
    meeting: tuple[Nearest, ...] = (),
) -> Observed:
    """A split, of which `counts` [K] samples of each class are compared. blocks: all of it, in order.

    `meeting` meet all of its points, compared or not.
    """
    labels = split.labels()
    rows = evenly(labels, counts)
    compared = np.zeros(len(labels), bool)
    compared[rows] = True
    placed = compared | bool(meeting)
    seen, points, moved = [], [], []
    for start, x in blocks:
        here = slice(start, start + len(x))
        sight = look(judge, space, [(0, x)], placed[here])
        for nearest in meeting:
            nearest.meet(start, sight.points)
        seen.append(sight.seen)
        points.append(sight.points[compared[here][placed[here]]])
        moved.append(motion(x[compared[here]]))
    return Observed(split, labels, np.concatenate(seen), rows, np.concatenate(points), joined(moved))
