"""Canonical weights as TensorFlow variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Self

import numpy as np

from recurra.contract import ClassifierSpec, GanSpec, Spec, Weights
from recurra.weights import is_kernel, layout, step_width
from recurra_tensorflow.framework import tf


def variable(value: tf.Tensor, name: str) -> tf.Variable:
    """A variable; of several replicas each has one, writes to it alone, and the first one's is what others read.

    Gradients are summed before they are applied, so that the replicas' values stay equal without being exchanged.
    """
    return tf.Variable(
        value,
        trainable=False,
        name=name,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )


class Variables:
    """One float32 number for each number of the canonical weights, as variables of zeros.

    The canonical layout serves TensorFlow as it is. Only a kernel that multiplies things joined (a fusion's, a
    generator's) lies in as many variables, one above the other: each product has its own, what is the same at every
    step is multiplied once, and no gradient of a slice has to be padded and added.
    """

    def __init__(self, spec: Spec, role: str, chosen: Callable[[str], bool] | None = None) -> None:
        self._spec, self._chosen = spec, chosen
        shapes = {name: shape for name, shape in layout(spec).items() if chosen is None or chosen(name)}
        self._rows = {name: _rows(spec, name, shape) for name, shape in shapes.items()}
        self._blocks = {
            name: tuple(variable(tf.zeros((n, *shape[1:])), f"{role}/{name}") for n in self._rows[name])
            for name, shape in shapes.items()
        }

    def twin(self, role: str) -> Self:
        """Other variables of the same weights, of zeros."""
        return type(self)(self._spec, role, self._chosen)

    def __getitem__(self, name: str) -> tf.Variable:
        """The variable of a weight that lies in one."""
        (variable,) = self._blocks[name]
        return variable

    def __iter__(self) -> Iterator[str]:
        """The names of the weights."""
        return iter(self._blocks)

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


def _rows(spec: Spec, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The rows of each variable that a weight lies in."""
    last = _last_block(spec, name)
    return (shape[0] - last, last) if last else (shape[0],)


def _last_block(spec: Spec, name: str) -> int:
    """Rows of the second of two blocks: what is joined from below, in a kernel that multiplies two things joined."""
    prefix, cell = "generator.rnn" if isinstance(spec, GanSpec) else "rnn", spec.model.rnn.cell
    first_layer = name in (f"{prefix}.{cell}1.kernel", f"{prefix}.{cell}1_reverse.kernel")
    if isinstance(spec, ClassifierSpec):
        return step_width(spec) if spec.model.kind == "fusion" and first_layer else 0
    from_latents = name.startswith(("generator.start", "generator.norm")) and is_kernel(name)
    return spec.model.gan.content + spec.model.gan.embedding if first_layer or from_latents else 0
