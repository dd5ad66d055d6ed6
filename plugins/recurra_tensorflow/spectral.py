"""Spectral normalisation of the discriminators' weights (Miyato et al., 2018)."""

from __future__ import annotations

from recurra_tensorflow.framework import tf
from recurra_tensorflow.weights import Variables

LEAST = 1e-12
VECTOR = ".u"
Vectors = dict[str, tuple[tf.Tensor, tf.Tensor]]
"""Weight -> (u, v), the two singular vectors that its largest singular value is measured with."""


class SpectralNorm:
    """The weights divided by their largest singular values; the weights themselves where `vectors` is empty."""

    def __init__(self, weights: Variables, vectors: Variables) -> None:
        self._weights, self._vectors = weights, vectors

    def advanced(self) -> Vectors:
        """The vectors after one step of the power iteration, which are kept."""
        return {name: self._advance(name, v) for name, (_, v) in self.current().items()}

    def current(self) -> Vectors:
        """The vectors as they are."""
        vectors: Vectors = {}
        for name in (vector.removesuffix(VECTOR) for vector in self._vectors):
            u = tf.convert_to_tensor(self._vectors[name + VECTOR])
            vectors[name] = (u, _unit(tf.linalg.matvec(_matrix(self._weights[name]), u)))
        return vectors

    def weights(self, vectors: Vectors) -> dict[str, tf.Tensor]:
        """Every weight, W / (v^T W u) where it has vectors; these are constants of a gradient."""
        weights = {name: tf.convert_to_tensor(self._weights[name]) for name in self._weights}
        for name, (u, v) in vectors.items():
            weights[name] = weights[name] / tf.tensordot(v, tf.linalg.matvec(_matrix(weights[name]), u), 1)
        return weights

    def _advance(self, name: str, v: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        u = _unit(tf.linalg.matvec(_matrix(self._weights[name]), v, transpose_a=True))
        self._vectors[name + VECTOR].assign(u)
        return u, v


def _matrix(weight: tf.Tensor | tf.Variable) -> tf.Tensor:
    """[all axes but the last, the last]."""
    return tf.reshape(weight, [-1, weight.shape[-1]])


def _unit(a: tf.Tensor) -> tf.Tensor:
    return a / tf.maximum(tf.norm(a), LEAST)
