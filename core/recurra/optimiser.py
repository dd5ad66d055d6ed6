"""Adam as recurra defines it, and the learning rate of each step. Backends hold their arithmetic to this.

Kingma and Ba (2015), with epsilon outside the bias-corrected root, at step t = 1, 2, ...:
    g = g * min(1, clip_norm / (|g| + 1e-6))            |g|: the norm over all weights; only with train.clip_norm
    w = w - lr * weight_decay * w                       kernels only (Loshchilov and Hutter, 2019)
    m = 0.9 m + 0.1 g;  v = 0.999 v + 0.001 g^2
    w = w - lr * (m / (1 - 0.9^t)) / (sqrt(v / (1 - 0.999^t)) + 1e-8)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recurra.errors import InputError
from recurra.experiment import Train

BETA_1 = 0.9
BETA_2 = 0.999
EPSILON = 1e-8
CLIP_EPSILON = 1e-6
STEP = "adam.step"
MOMENTS = ("adam.m.", "adam.v.")
"""What the names of m and v begin with in a training state; the weight's own follows."""


def learning_rates(train: Train, steps: np.ndarray, steps_per_epoch: int) -> np.ndarray:
    """The learning rate of each step (numbered from 0): [S] int -> [S] float32."""
    total = train.epochs * steps_per_epoch
    warmup = round(train.warmup_epochs * steps_per_epoch)
    rise = np.minimum(1.0, (steps + 1) / (warmup + 1)) if warmup else 1.0
    progress = np.clip((steps - warmup) / max(1, total - warmup), 0.0, 1.0)
    fall = {
        "constant": np.ones(len(steps)),
        "linear": 1.0 - progress,
        "cosine": 0.5 * (1.0 + np.cos(np.pi * progress)),
    }[train.schedule]
    return (train.learning_rate * rise * fall).astype(np.float32)


def check_state(state: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """An InputError unless the state is that of an optimiser of weights of these shapes, no more and no less.

    `backend.*` entries are a backend's own.
    """
    expected = {f"{moment}{name}": shape for moment in MOMENTS for name, shape in shapes.items()}
    found = [name for name in state if name.startswith(MOMENTS)]
    for name in [STEP, *expected, *found]:
        if name not in state:
            raise InputError(f"training state: '{name}' is missing; was it saved by a training of this experiment?")
        if name != STEP and (name not in expected or state[name].shape != expected[name]):
            wanted = f"expected {list(expected[name])}" if name in expected else "has no place in this network"
            raise InputError(f"training state: '{name}' of shape {list(state[name].shape)}: {wanted}")
