"""How clips move: how much they change from frame to frame, and how unsteadily; generated beside real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Motion:
    """Two numbers of each clip, [N] float64."""

    change: np.ndarray
    """The mean absolute difference of a pixel in consecutive frames, in normalised units. NaN of a single frame."""
    jitter: np.ndarray
    """The mean |second difference| over the mean |first difference|: 0 of a steady change, 2 of one that turns round at
    every frame. NaN of fewer than three frames, and of a clip that stands still.
    """


@dataclass(frozen=True)
class Likeness:
    """One number of clips, generated beside real. NaN where there are no clips, or none that move."""

    generated: float
    """Mean."""
    test: float
    """Mean of real test clips."""
    train: float
    """Mean of real training clips."""
    ratio: float
    """Generated over test."""
    ratio_floor: float
    """Train over test."""
    distance: float
    """Wasserstein-1 distance of generated and test, in the number's own unit."""
    distance_floor: float
    """Of train and test."""


def motion(x: np.ndarray) -> Motion:
    """Of clips x [N, T, H, W, C] float32, normalised."""
    if x.shape[1] < 2:
        return Motion(np.full(len(x), np.nan), np.full(len(x), np.nan))
    first = np.diff(x, axis=1)
    change = _size(first)
    if x.shape[1] < 3:
        return Motion(change, np.full(len(x), np.nan))
    turning = _size(np.diff(first, axis=1))
    return Motion(change, np.divide(turning, change, out=np.full(len(x), np.nan), where=change > 0))


def joined(parts: Sequence[Motion]) -> Motion:
    """Of all their clips, in order."""
    return Motion(np.concatenate([part.change for part in parts]), np.concatenate([part.jitter for part in parts]))


def _size(differences: np.ndarray) -> np.ndarray:
    return np.abs(differences).mean(axis=(1, 2, 3, 4), dtype=np.float64)


def likeness(generated: np.ndarray, test: np.ndarray, train: np.ndarray) -> Likeness:
    """Of numbers [N] each; those that are NaN do not count."""
    generated, test, train = (values[np.isfinite(values)] for values in (generated, test, train))
    made, seen, known = (float(values.mean()) if len(values) else float("nan") for values in (generated, test, train))
    real = seen or float("nan")
    return Likeness(
        generated=made,
        test=seen,
        train=known,
        ratio=made / real,
        ratio_floor=known / real,
        distance=wasserstein(generated, test),
        distance_floor=wasserstein(train, test),
    )


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """The Wasserstein-1 distance of two sets of numbers: the area between their distribution functions; NaN where one
    is empty.
    """
    if not len(a) or not len(b):
        return float("nan")
    places = np.sort(np.concatenate([a, b]))
    below = [np.searchsorted(np.sort(values), places[:-1], side="right") / len(values) for values in (a, b)]
    return float((np.abs(below[0] - below[1]) * np.diff(places)).sum())
