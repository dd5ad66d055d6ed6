"""Faults that a backend can have, each planted where it would be made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from recurra.contract import Batches, ClassifierSpec

from . import adam, frames, recurrent
from .classifier import NumpyClassifier


class DropoutLeftOn(NumpyClassifier):
    def features(self, x: np.ndarray) -> np.ndarray:
        found = super().features(x)
        return (found * self._dropout(found.shape)).astype(np.float32)

    def logits(self, x: np.ndarray) -> np.ndarray:
        return self.features(x) @ self._weights["output.kernel"] + self._weights["output.bias"]


class StateNotRestored(NumpyClassifier):
    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        before = self.training_state()
        super().load_training_state(state)
        for name, array in self._adam.v.items():
            array[...] = before[f"adam.v.{name}"]


class LabelOffByOne(NumpyClassifier):
    def train_steps(self, batches: Batches) -> Any:
        wrong = (batches.y + 1) % self.spec.classes
        return super().train_steps(Batches(batches.x, wrong, batches.learning_rates, batches.first_step))


class SeedIgnored(NumpyClassifier):
    def __init__(self, spec: ClassifierSpec, seed: int) -> None:
        super().__init__(spec, 0)


def _transposed_kernel(build: Callable[[], Any]) -> Any:
    convolution = frames.convolution

    def wrong(x: Any, kernel: Any, bias: Any, padding: str) -> Any:
        y, back = convolution(x, kernel.swapaxes(0, 1), bias, padding)

        def swapped(dy: Any) -> Any:
            dx, dkernel, dbias = back(dy)
            return dx, dkernel.swapaxes(0, 1), dbias

        return y, swapped

    frames.convolution = wrong
    return build()


def _swapped_gates(build: Callable[[], Any]) -> Any:
    lstm = recurrent.lstm

    def swap(array: np.ndarray) -> np.ndarray:
        i, f, g, o = np.split(array, 4, axis=-1)
        return np.concatenate([i, g, f, o], axis=-1)

    def wrong(x: Any, weights: Any, name: str) -> Any:
        own = [f"{name}.{part}" for part in ("kernel", "recurrent_kernel", "bias")]
        states, back = lstm(x, {each: swap(weights[each]) for each in own}, name)

        def swapped(dy: Any) -> Any:
            dx, gradients = back(dy)
            return dx, {each: swap(array) for each, array in gradients.items()}

        return states, swapped

    recurrent.lstm = wrong
    return build()


def _wrong_epsilon(build: Callable[[], Any]) -> Any:
    adam.EPSILON = 1e-7  # what Keras has by default
    return build()


def _decay_forgotten(build: Callable[[], Any]) -> Any:
    adam.is_kernel = lambda name: False
    return build()


def _decay_on_biases(build: Callable[[], Any]) -> Any:
    adam.is_kernel = lambda name: True
    return build()


def _wrong_flatten_order(build: Callable[[], Any]) -> Any:
    flatten = frames.flatten

    def wrong(x: Any) -> Any:
        y, back = flatten(x.transpose(0, 3, 1, 2))
        return y, lambda dy: (back(dy)[0].transpose(0, 2, 3, 1),)

    frames.flatten = wrong
    return build()


def _reverse_first(build: Callable[[], Any]) -> Any:
    recurrent.ends = lambda states, units: np.concatenate([states[:, 0, units:], states[:, -1, :units]], axis=1)
    return build()


CLASSES = {
    "dropout left on": DropoutLeftOn,
    "state not restored": StateNotRestored,
    "label off by one": LabelOffByOne,
    "seed ignored": SeedIgnored,
}
PLANTED = {
    "transposed kernel": _transposed_kernel,
    "swapped lstm gates": _swapped_gates,
    "wrong epsilon": _wrong_epsilon,
    "decay forgotten": _decay_forgotten,
    "decay on biases": _decay_on_biases,
    "wrong flatten order": _wrong_flatten_order,
    "bidirectional order": _reverse_first,
}
_RIGHT = (frames.convolution, frames.flatten, recurrent.lstm, recurrent.ends, adam.EPSILON, adam.is_kernel)


def planted(fault: str, sound: type[NumpyClassifier], spec: ClassifierSpec, seed: int) -> NumpyClassifier:
    """A network with the fault; a sound one where it is the empty string."""
    frames.convolution, frames.flatten, recurrent.lstm, recurrent.ends, adam.EPSILON, adam.is_kernel = _RIGHT
    kind = CLASSES.get(fault, sound)
    return PLANTED[fault](lambda: kind(spec, seed)) if fault in PLANTED else kind(spec, seed)
