"""How many steps or samples a compiled function has room for, so that another number of them compiles nothing new."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np

from recurra_jax.framework import JaxDevice, jax

Batch = TypeVar("Batch")


class Rooms:
    """For each compiled loop, how many steps it has room for: the most that came at once so far, in this process.

    The last steps of an epoch are fewer than those before, and so are the first ones of another network: they go
    through the loop that is there.
    """

    def __init__(self) -> None:
        self._steps: dict[Hashable, int] = {}

    def filled(self, batches: Batch, loop: Hashable) -> Batch:
        """Arrays [S, ...] for a loop, with zeros after them where it has room for more steps."""
        room = self._steps[loop] = max(_length(batches), self._steps.get(loop, 0))
        return _filled(batches, room)


def of_samples(function: Callable[[Any], Any], samples: Any, device: JaxDevice) -> Any:
    """What a compiled function answers: a tree of arrays [N, ...] -> copies [N, ...] on the host, of any N.

    It is given a power of two of samples, zeros after the N, and so compiled for a handful of numbers.
    """
    count = _length(samples)
    there = jax.device_put(_filled(samples, 1 << (count - 1).bit_length() if count else 1), device)
    return jax.tree.map(lambda array: array[:count].copy(), jax.device_get(function(there)))


def _length(arrays: object) -> int:
    return len(jax.tree.leaves(arrays)[0])


def _filled(arrays: Batch, room: int) -> Batch:
    return jax.tree.map(lambda array: _longer(array, room), arrays) if room > _length(arrays) else arrays


def _longer(array: np.ndarray, length: int) -> np.ndarray:
    filled = np.zeros((length, *array.shape[1:]), array.dtype)
    filled[: len(array)] = array
    return filled
