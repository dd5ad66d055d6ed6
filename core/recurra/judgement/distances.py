"""How far two sets of points lie apart, and how each covers the other: pure functions of arrays [N, D] float64.

NaN stands for what cannot be told: of too few points, or of points that are not finite numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK = 1 << 22
"""Distances held at once."""
ROUNDING = 1e-13
"""Of the squared norms: squared distances are exact to less, and smaller ones are differences of equal points."""


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x [N, D], y [M, D] -> [N, M]; of equal points exactly 0."""
    squared = x @ (-2 * y.T)
    # Taken off both norms, what a difference of equal numbers leaves is below 0.
    squared += (1 - ROUNDING) * np.square(x).sum(axis=1)[:, None]
    squared += (1 - ROUNDING) * np.square(y).sum(axis=1)
    return np.maximum(squared, 0, out=squared)


def blocks(x: np.ndarray, columns: int) -> Iterator[slice]:
    """Slices over the rows of x, such that [rows, columns] is small."""
    rows = max(1, BLOCK // max(1, columns))
    return (slice(start, start + rows) for start in range(0, len(x), rows))


def comparable(x: np.ndarray, y: np.ndarray, least: int = 2) -> bool:
    """Whether both have so many points, and all of them are finite."""
    return min(len(x), len(y)) >= least and bool(np.isfinite(x).all() and np.isfinite(y).all())


def frechet(x: np.ndarray, y: np.ndarray) -> float:
    """|m_x - m_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2)), between the normal distributions with the sets' means and
    covariances (Heusel et al., 2017).

    With C_x = A A^T and C_y = B B^T, tr (C_x C_y)^(1/2) is the sum of the singular values of A^T B: nothing is
    inverted, no root of a rounding error is taken, and covariances may be singular.
    """
    if not comparable(x, y):
        return float("nan")
    a, b = _factor(x), _factor(y)
    apart = np.square(x.mean(axis=0) - y.mean(axis=0)).sum()
    traces = np.square(a).sum() + np.square(b).sum()
    return max(0.0, float(apart + traces - 2 * np.linalg.svd(a.T @ b, compute_uv=False).sum()))


def _factor(x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred / (len(x) - 1))
    return directions * np.sqrt(np.maximum(variances, 0))


def kernel(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy with k(a, b) = (a.b / D + 1)^3
    (Binkowski et al., 2018). Around 0 for two draws of one distribution, and then negative as often as not.
    """
    if not comparable(x, y):
        return float("nan")
    n, m = len(x), len(y)
    within = _others(x).sum() / (n * (n - 1)) + _others(y).sum() / (m * (m - 1))
    return float(within - 2 * _cubes(x, y).sum() / (n * m))


def kernel_error(x: np.ndarray, y: np.ndarray) -> float:
    """The standard error of `kernel` by the jackknife, each point of both sets left out in turn: on average too large
    rather than too small (Efron and Stein, 1981), most so for two draws of one distribution.
    """
    if not comparable(x, y, 3):
        return float("nan")
    return float(np.sqrt(_jackknife(x, y) + _jackknife(y, x)))


def _jackknife(x: np.ndarray, y: np.ndarray) -> float:
    """The variance of `kernel` that is due to x."""
    n, m = len(x), len(y)
    within, between = _others(x), _cubes(x, y)
    left = (within.sum() - 2 * within) / ((n - 1) * (n - 2)) - 2 * (between.sum() - between) / ((n - 1) * m)
    return float((n - 1) * left.var())


def _cubes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[N]: the sum of k(x_i, y_j) over all of y."""
    sums = np.empty(len(x))
    for block in blocks(x, len(y)):
        k = x[block] @ y.T / x.shape[1] + 1
        sums[block] = np.einsum("ij,ij->i", np.square(k), k)
    return sums


def _others(x: np.ndarray) -> np.ndarray:
    """[N]: the sum of k(x_i, x_j) over all others."""
    return _cubes(x, x) - (np.square(x).sum(axis=1) / x.shape[1] + 1) ** 3


def precision_recall(real: np.ndarray, generated: np.ndarray, neighbours: int = 3) -> tuple[float, float]:
    """The part of the generated points within the real ones' manifold, and of the real within the generated ones'
    (Kynkaanniemi et al., 2019).

    A manifold is the union of balls around its points, each as large as the distance to the point's k-th neighbour of
    its own set; k = `neighbours`, or as many as there are.
    """
    if not comparable(real, generated):
        return float("nan"), float("nan")
    real_radii, generated_radii = radii(real, neighbours), radii(generated, neighbours)
    covered, inside = 0, np.zeros(len(generated), bool)
    for block in blocks(real, len(generated)):
        squared = squared_distances(real[block], generated)
        inside |= (squared <= real_radii[block, None]).any(axis=0)
        covered += int((squared <= generated_radii).any(axis=1).sum())
    return float(inside.mean()), covered / len(real)


def radii(x: np.ndarray, neighbours: int) -> np.ndarray:
    """[N] squared distance of each point to its k-th neighbour among the others."""
    k = min(neighbours, len(x) - 1)
    # The nearest of all is the point itself, at 0.
    return np.concatenate([np.partition(squared_distances(x[block], x), k)[:, k] for block in blocks(x, len(x))])


def diversity(
    real: np.ndarray, real_labels: np.ndarray, generated: np.ndarray, labels: np.ndarray, classes: int
) -> np.ndarray:
    """[K]: the mean distance of two of a class's generated points over that of two of its real ones; 1 is as diverse as
    the real ones, 0 all alike. NaN for a class with fewer than two of either, or whose real points are all equal.
    """
    found = np.full(classes, np.nan)
    for number in range(classes):
        x, y = real[real_labels == number], generated[labels == number]
        if comparable(x, y):
            span = spread(x)
            found[number] = spread(y) / span if span else np.nan
    return found


def spread(x: np.ndarray) -> float:
    """The mean distance of two different points of x [N >= 2, D]."""
    total = sum(float(np.sqrt(squared_distances(x[block], x)).sum()) for block in blocks(x, len(x)))
    return total / (len(x) * (len(x) - 1))
