"""Spectral normalisation of the discriminators' weights (Miyato et al., 2018)."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax

from recurra_jax.framework import jax
from recurra_jax.weights import Tree

LEAST = 1e-12
VECTOR = ".u"
Vectors = dict[str, tuple[jax.Array, jax.Array]]
"""Weight -> (u, v), the two singular vectors that its largest singular value is measured with."""


def current(weights: Tree, vectors: Tree) -> Vectors:
    """The vectors `NAME.u` as they are, each with its v."""
    names = [vector.removesuffix(VECTOR) for vector in vectors]
    return {name: (vectors[name + VECTOR], _unit(_matrix(weights[name]) @ vectors[name + VECTOR])) for name in names}


def advanced(weights: Tree, vectors: Tree) -> Vectors:
    """The vectors after one step of the power method."""
    return {name: (_unit(v @ _matrix(weights[name])), v) for name, (_, v) in current(weights, vectors).items()}


def normed(weights: Tree, vectors: Vectors) -> Tree:
    """Every weight, W / (v^T W u) where it has vectors; these are constants of a gradient."""
    constants = lax.stop_gradient(vectors)
    divided = {name: weights[name] / (v @ (_matrix(weights[name]) @ u)) for name, (u, v) in constants.items()}
    return {**weights, **divided}


def _matrix(weight: jax.Array) -> jax.Array:
    """[all axes but the last, the last]."""
    return weight.reshape(-1, weight.shape[-1])


def _unit(a: jax.Array) -> jax.Array:
    return a / jnp.maximum(jnp.sqrt(jnp.square(a).sum()), LEAST)
