"""The least and largest value of normalised pixels: what a generator keeps to, and what discriminators scale by."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from recurra.contract import GanSpec

from recurra_jax.framework import jax


def within(x: jax.Array, spec: GanSpec) -> jax.Array:
    """Any numbers [..., C] -> pixels, where these have bounds."""
    if spec.bounds is None:
        return x
    middle, reach = _middle_and_reach(spec.bounds)
    return jnp.tanh(x) * reach + middle


def centred(x: jax.Array, spec: GanSpec) -> jax.Array:
    """Pixels [..., C] -> numbers between -1 and 1, where pixels have bounds."""
    if spec.bounds is None:
        return x
    middle, reach = _middle_and_reach(spec.bounds)
    return (x - middle) / reach


def _middle_and_reach(bounds: tuple[tuple[float, float], ...]) -> tuple[np.ndarray, np.ndarray]:
    """[C] float32 each."""
    low, high = np.array(bounds, np.float32).T
    return (low + high) / 2, (high - low) / 2
