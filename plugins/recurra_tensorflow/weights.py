"""Canonical weights as TensorFlow variables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recurra.contract import ClassifierSpec, Weights
from recurra.weights import is_kernel, layout, step_width
from recurra_tensorflow.framework import tf


class Variables:
    """One float32 number for each number of the canonical weights, as variables of zeros.

    The canonical layout serves TensorFlow as it is. Only a kernel that multiplies two things joined (fusion) lies in
    two variables, one above the other: each product has its own, and no gradient of a slice has to be padded and added.
    """

    def __init__(self, spec: ClassifierSpec, role: str) -> None:
        shapes = layout(spec)
        self._rows = {name: _rows(spec, name, shape) for name, shape in shapes.items()}
        self._blocks = {
            name: tuple(tf.Variable(tf.zeros((n, *shape[1:])), name=f"{role}/{name}") for n in self._rows[name])
            for name, shape in shapes.items()
        }

    def __getitem__(self, name: str) -> tf.Variable:
        """The variable of a weight that lies in one."""
        (variable,) = self._blocks[name]
        return variable

    def blocks(self, name: str) -> tuple[tf.Variable, ...]:
        """The variables of a weight, from its first rows to its last."""
        return self._blocks[name]

    def all(self) -> list[tf.Variable]:
        """Every variable, in one order for equal specs."""
        return [variable for blocks in self._blocks.values() for variable in blocks]

    def kernels(self) -> list[bool]:
        """For each of `all`, whether it is part of a kernel."""
        return [is_kernel(name) for name, blocks in self._blocks.items() for _ in blocks]

    def arrays(self) -> Weights:
        """A copy in canonical layout."""
        return {
            name: np.concatenate([variable.numpy() for variable in blocks]) for name, blocks in self._blocks.items()
        }

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes over arrays in canonical layout."""
        for name, blocks in self._blocks.items():
            ends = np.cumsum(self._rows[name])[:-1]
            for variable, part in zip(blocks, np.split(arrays[name], ends), strict=True):
                variable.assign(part)


def _rows(spec: ClassifierSpec, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    first_layer = name.startswith((f"rnn.{spec.model.rnn.cell}1.", f"rnn.{spec.model.rnn.cell}1_reverse."))
    if spec.model.kind == "fusion" and first_layer and name.endswith(".kernel"):
        own = step_width(spec)
        return shape[0] - own, own
    return (shape[0],)
