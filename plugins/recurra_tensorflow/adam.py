"""Adam, exactly as `recurra.optimiser` defines it, on TensorFlow's fused kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from recurra.contract import Spec
from recurra.optimiser import BETA_1, BETA_2, CLIP_EPSILON, EPSILON
from recurra_tensorflow.framework import tf
from recurra_tensorflow.weights import Variables, variable


class Adam:
    """The optimiser of `variables`: its moments and its step count. Clipping is by the norm over these variables."""

    def __init__(self, spec: Spec, variables: Variables, betas: tuple[float, float] = (BETA_1, BETA_2)) -> None:
        self._train = spec.train
        self._variables = variables
        self._betas = betas
        self._m = variables.twin("adam.m")
        self._v = variables.twin("adam.v")
        self.step = variable(tf.zeros([], tf.int64), "adam.step")
        """Steps taken."""

    def apply(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor) -> None:
        """One step, in the graph: gradients in the order of `Variables.all`, learning_rate a float32 scalar."""
        gradients = self._clipped(gradients)
        self._decay(learning_rate)
        rate, epsilon = self._corrected(learning_rate)
        for w, m, v, g in zip(self._variables.all(), self._m.all(), self._v.all(), gradients, strict=True):
            # Powers of zero make the kernel's own bias correction the identity: w -= rate * m / (sqrt(v) + epsilon).
            tf.raw_ops.ResourceApplyAdam(
                var=w.handle,
                m=m.handle,
                v=v.handle,
                beta1_power=0.0,
                beta2_power=0.0,
                lr=rate,
                beta1=self._betas[0],
                beta2=self._betas[1],
                epsilon=epsilon,
                grad=g,
            )

    def state(self) -> dict[str, np.ndarray]:
        """A copy of adam.step, adam.m.NAME and adam.v.NAME in canonical layout."""
        moments = {"m": self._m.arrays(), "v": self._v.arrays()}
        state = {f"adam.{k}.{name}": array for k, arrays in moments.items() for name, array in arrays.items()}
        return {"adam.step": np.array(self.step.numpy(), np.int64), **state}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes over what `state` gave."""
        for key, moments in (("adam.m.", self._m), ("adam.v.", self._v)):
            moments.load({name.removeprefix(key): a for name, a in state.items() if name.startswith(key)})
        self.step.assign(int(state["adam.step"]))

    def _clipped(self, gradients: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
        if self._train.clip_norm is None:
            return gradients
        scale = tf.minimum(1.0, self._train.clip_norm / (tf.linalg.global_norm(gradients) + CLIP_EPSILON))
        return [g * scale for g in gradients]

    def _decay(self, learning_rate: tf.Tensor) -> None:
        if self._train.weight_decay:
            part = learning_rate * self._train.weight_decay
            for w, is_kernel in zip(self._variables.all(), self._variables.kernels(), strict=True):
                if is_kernel:
                    w.assign_sub(part * w)

    def _corrected(self, learning_rate: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The rate and the epsilon that correct the bias of both moments, if they are used uncorrected.

        In float64: in float32 1 - 0.999^t keeps only four digits at first.
        """
        t = tf.cast(self.step.assign_add(1), tf.float64)
        beta_1, beta_2 = (tf.constant(beta, tf.float64) for beta in self._betas)
        root = tf.sqrt(1.0 - tf.pow(beta_2, t))
        rate = tf.cast(learning_rate, tf.float64) * root / (1.0 - tf.pow(beta_1, t))
        return tf.cast(rate, tf.float32), tf.cast(EPSILON * root, tf.float32)
