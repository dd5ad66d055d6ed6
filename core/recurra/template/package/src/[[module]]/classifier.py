"""The classifier: what recurra's contract asks of a network with its optimiser."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recurra.contract import Batches, ClassifierSpec, StepRecords
from recurra.optimiser import MOMENTS, STEP, check_state
from recurra.weights import check_weights, layout

from . import network
from .adam import Adam
from .layers import cross_entropy, dense


class NumpyClassifier:
    """Weights and moments are float32; everything between them is computed in float64."""

    def __init__(self, spec: ClassifierSpec, seed: int) -> None:
        self.spec, self.seed = spec, seed
        self._weights = {name: np.zeros(shape, np.float32) for name, shape in layout(spec).items()}
        self._adam = Adam(self._weights, spec.train)

    def train_steps(self, batches: Batches) -> StepRecords:
        """One step for each batch, in order."""
        steps = zip(batches.x, batches.y, batches.learning_rates, strict=True)
        records = [self._step(x, y, float(rate)) for x, y, rate in steps]
        loss, correct = zip(*records, strict=True)
        return StepRecords(np.array(loss, np.float32), np.array(correct, np.int64))

    def _step(self, x: np.ndarray, y: np.ndarray, rate: float) -> tuple[float, int]:
        weights = self._exact()
        features, back_to_weights = network.features(x.astype(np.float64), weights, self.spec)
        kept = self._dropout(features.shape)
        logits, back_to_features = dense(features * kept, weights["output.kernel"], weights["output.bias"])
        loss, gradient = cross_entropy(logits, y)
        of_features, of_kernel, of_bias = back_to_features(gradient)
        gradients = {"output.kernel": of_kernel, "output.bias": of_bias} | back_to_weights(of_features * kept)
        self._adam.update(self._weights, gradients, rate)
        return loss, int((logits.argmax(axis=1) == y).sum())

    def _dropout(self, shape: tuple[int, ...]) -> np.ndarray:
        """0 or 1 / (1 - rate) for each feature: a function of the seed and the step, so that a resumed training goes
        on with the same.
        """
        rate = self.spec.train.dropout
        draw = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, self._adam.step])))
        return (draw.random(shape) >= rate) / (1 - rate)

    def logits(self, x: np.ndarray) -> np.ndarray:
        """x [N, T, H, W, C] -> [N, K] float32, without dropout."""
        weights = self._exact()
        features, _ = network.features(x.astype(np.float64), weights, self.spec)
        return (features @ weights["output.kernel"] + weights["output.bias"]).astype(np.float32)

    def features(self, x: np.ndarray) -> np.ndarray:
        """x [N, T, H, W, C] -> [N, F] float32, without dropout."""
        return network.features(x.astype(np.float64), self._exact(), self.spec)[0].astype(np.float32)

    def _exact(self) -> dict[str, np.ndarray]:
        return {name: array.astype(np.float64) for name, array in self._weights.items()}

    def weights(self) -> dict[str, np.ndarray]:
        """A copy of every weight."""
        return {name: array.copy() for name, array in self._weights.items()}

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Takes over weights; an InputError, and nothing taken, where they are those of another network."""
        check_weights(weights, self.spec, "weights")
        for name, array in self._weights.items():
            array[...] = weights[name]

    def training_state(self) -> dict[str, np.ndarray]:
        """A copy of the moments, and the number of steps; dropout depends on nothing else."""
        moments = zip(MOMENTS, (self._adam.m, self._adam.v), strict=True)
        state = {f"{prefix}{name}": array.copy() for prefix, arrays in moments for name, array in arrays.items()}
        return {STEP: np.array(self._adam.step, np.int64), **state}

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes over a training state; an InputError, and nothing taken, where it is another network's."""
        check_state(state, layout(self.spec))
        self._adam.step = int(state[STEP])
        for prefix, arrays in zip(MOMENTS, (self._adam.m, self._adam.v), strict=True):
            for name, array in arrays.items():
                array[...] = state[f"{prefix}{name}"]
