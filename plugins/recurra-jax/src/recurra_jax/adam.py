"""Adam, exactly as `recurra.optimiser` defines it: a pure function from weights and moments to the next ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from recurra.experiment import Train
from recurra.optimiser import BETA_1, BETA_2, CLIP_EPSILON, EPSILON, MOMENTS
from recurra.weights import is_kernel

from recurra_jax.framework import JaxDevice
from recurra_jax.weights import Array, Tree, put, read, zeros

BETAS = (BETA_1, BETA_2)


class Moments(NamedTuple):
    """m and v of every weight."""

    m: Tree
    v: Tree


def no_moments(shapes: Mapping[str, tuple[int, ...]], device: JaxDevice) -> Moments:
    """Those of weights of these shapes before the first step."""
    return Moments(zeros(shapes, device), zeros(shapes, device))


def put_moments(state: Mapping[str, np.ndarray], names: Iterable[str], device: JaxDevice) -> Moments:
    """Copies on the device of the moments that a training state has of these weights."""
    own = list(names)
    return Moments(*(put(state, own, device, prefix) for prefix in MOMENTS))


def read_moments(moments: Moments) -> dict[str, np.ndarray]:
    """Copies, named as in a training state."""
    m, v = (read(tree, prefix) for tree, prefix in zip(moments, MOMENTS, strict=True))
    return {**m, **v}


class Rates(NamedTuple):
    """What an update is scaled by: [S] float32 of some steps, scalars of one."""

    learning: Array
    corrected: Array
    """The learning rate with the bias of both moments corrected."""
    epsilon: Array
    """Epsilon next to the uncorrected root."""


def rates(learning: np.ndarray, taken: int, betas: tuple[float, float] = BETAS) -> Rates:
    """The rates [S] of the steps after so many that are taken.

    Worked out here, in float64: in float32 1 - 0.999^t keeps only four digits at first, and JAX is in float32.
    """
    t = taken + np.arange(1.0, len(learning) + 1)
    root = np.sqrt(1 - betas[1] ** t)
    corrected = learning * root / (1 - betas[0] ** t)
    return Rates(learning, corrected.astype(np.float32), (EPSILON * root).astype(np.float32))


def adam_step(
    weights: Tree,
    moments: Moments,
    gradients: Tree,
    rates: Rates,
    train: Train,
    betas: tuple[float, float] = BETAS,
) -> tuple[Tree, Moments]:
    """One step; the gradient's norm is that over these weights."""
    (beta_1, beta_2), gradients = betas, _clipped(gradients, train.clip_norm)
    m = {name: beta_1 * old + (1 - beta_1) * gradients[name] for name, old in moments.m.items()}
    v = {name: beta_2 * old + (1 - beta_2) * jnp.square(gradients[name]) for name, old in moments.v.items()}
    decay = 1 - rates.learning * train.weight_decay
    new = {}
    for name, weight in weights.items():
        kept = weight * decay if train.weight_decay and is_kernel(name) else weight
        new[name] = kept - rates.corrected * m[name] / (jnp.sqrt(v[name]) + rates.epsilon)
    return new, Moments(m, v)


def _clipped(gradients: Tree, clip_norm: float | None) -> Tree:
    if clip_norm is None:
        return gradients
    norm = jnp.sqrt(sum(jnp.square(gradient).sum() for gradient in gradients.values()))
    scale = jnp.minimum(1.0, clip_norm / (norm + CLIP_EPSILON))
    return {name: gradient * scale for name, gradient in gradients.items()}
