"""Canonical weights as a pytree of JAX arrays: a dictionary by their names, in the very layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from recurra_jax.framework import JaxDevice, jax

Array = Any
"""An array of a step's data: NumPy's on the host, JAX's in what is compiled. `jax.jit` takes the one for the other."""
Tree = dict[str, jax.Array]
"""Canonical name -> array. JAX hands it back in the order of the names."""


def zeros(shapes: Mapping[str, tuple[int, ...]], device: JaxDevice) -> Tree:
    """Float32 zeros of these shapes."""
    return jax.device_put(
        {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, device, may_alias=False
    )


def put(arrays: Mapping[str, np.ndarray], names: Iterable[str], device: JaxDevice, prefix: str = "") -> Tree:
    """Copies on the device of the arrays named `prefix` + name."""
    own = {name: np.asarray(arrays[prefix + name], np.float32) for name in names}
    # On the CPU too, where JAX would else compute in the memory of the arrays that it was given.
    return jax.device_put(own, device, may_alias=False)


def read(tree: Tree, prefix: str = "") -> dict[str, np.ndarray]:
    """Copies of the arrays, under `prefix` + name; they come from the device together."""
    return {prefix + name: np.array(array) for name, array in jax.device_get(tree).items()}
