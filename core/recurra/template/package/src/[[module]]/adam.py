"""Adam as `recurra.optimiser` writes it: computed in float64, kept in float32, so that what is saved is all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recurra.experiment import Train
from recurra.optimiser import BETA_1, BETA_2, CLIP_EPSILON, EPSILON
from recurra.weights import is_kernel


class Adam:
    """The moments of some weights, and the number of steps taken."""

    def __init__(self, weights: Mapping[str, np.ndarray], train: Train) -> None:
        self.step, self.train = 0, train
        self.m = {name: np.zeros_like(array) for name, array in weights.items()}
        self.v = {name: np.zeros_like(array) for name, array in weights.items()}

    def update(self, weights: dict[str, np.ndarray], gradients: Mapping[str, np.ndarray], rate: float) -> None:
        """One step, in place."""
        self.step += 1
        scale = self._scale(gradients)
        for name, weight in weights.items():
            g, w = gradients[name] * scale, weight.astype(np.float64)
            if is_kernel(name):
                w -= rate * self.train.weight_decay * w
            m = BETA_1 * self.m[name].astype(np.float64) + (1 - BETA_1) * g
            v = BETA_2 * self.v[name].astype(np.float64) + (1 - BETA_2) * g**2
            w -= rate * (m / (1 - BETA_1**self.step)) / (np.sqrt(v / (1 - BETA_2**self.step)) + EPSILON)
            weight[...], self.m[name][...], self.v[name][...] = w, m, v

    def _scale(self, gradients: Mapping[str, np.ndarray]) -> float:
        if self.train.clip_norm is None:
            return 1.0
        norm = np.sqrt(sum(float((g**2).sum()) for g in gradients.values()))
        return min(1.0, self.train.clip_norm / (norm + CLIP_EPSILON))
