"""The space that generated samples are compared with real ones in: principal components of the judge's features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.errors import InputError

FITTED_BYTES = 64 << 20
"""Of float32 features at most that a space is made from."""
EXACT = 512
"""Features up to which the covariance is decomposed. Of more, which would take long, the largest components are sought
in a random sketch (Halko et al., 2011), whose variances come out about 1% too small at worst."""
LEAST = 1e-10
"""Components whose variance is a smaller part of the largest one's are rounding, not directions."""


@dataclass(frozen=True)
class Space:
    """Principal components, all scaled by one number, so that the mean variance of a component is 1.

    One number: distances keep their proportions, and a distance of two samples is of the order of sqrt(2 D) whatever
    the judge's features are.
    """

    mean: np.ndarray
    """[F] float32."""
    axes: np.ndarray
    """[F, D] float32, orthogonal, of equal length."""

    @classmethod
    def of(cls, features: np.ndarray, components: int, seed: int = 0) -> Space:
        """The space of real samples' features [N, F] float32: at most `components`, and no more than N or F allow."""
        mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
        centred = features - mean
        _check(centred)
        most = min(components, len(features) - 1, features.shape[1])
        directions, variances = (_exact if features.shape[1] <= EXACT else _sketched)(centred, most, seed)
        kept = variances > LEAST * variances[0]
        scale = 1 / np.sqrt(variances[kept].mean())
        return cls(mean, np.ascontiguousarray(directions[:, kept] * scale, np.float32))

    @property
    def components(self) -> int:
        """D."""
        return self.axes.shape[1]

    def project(self, features: np.ndarray) -> np.ndarray:
        """Features [n, F] float32 -> [n, D] float64."""
        return ((features - self.mean) @ self.axes).astype(np.float64)


def fitted_rows(features: int) -> int:
    """Samples with so many features each that a space is made from at most."""
    return max(2, FITTED_BYTES // (4 * features))


def _check(centred: np.ndarray) -> None:
    trouble = "are not finite numbers" if not np.isfinite(centred).all() else ""
    if len(centred) < 2 or not (trouble or centred.any()):
        trouble = "do not differ"
    if trouble:
        raise InputError(
            f"evaluate.gan.recogniser: its features of {len(centred)} real samples {trouble}, so that it can judge"
            " nothing; train it longer, or with a smaller evaluate.gan.recogniser.train.learning_rate"
        )


def _exact(centred: np.ndarray, most: int, _: int) -> tuple[np.ndarray, np.ndarray]:
    """Directions [F, most] and variances [most], the largest first."""
    covariance = np.zeros((centred.shape[1],) * 2)
    for start in range(0, len(centred), 8192):
        block = centred[start : start + 8192].astype(np.float64)
        covariance += block.T @ block
    variances, directions = np.linalg.eigh(covariance / (len(centred) - 1))
    return directions[:, ::-1][:, :most], variances[::-1][:most]


def _sketched(centred: np.ndarray, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.utils.extmath import randomized_svd

    passes: Any = 4  # its stub knows "auto" alone
    _, values, directions = randomized_svd(centred, most, n_oversamples=16, n_iter=passes, random_state=seed)
    return directions.T, values.astype(np.float64) ** 2 / (len(centred) - 1)
