"""The contract between recurra and a backend: what core asks for, what a backend answers.

Shapes at every boundary are [N, T, H, W, C]; an image is a clip with T = 1. Arrays are NumPy's, float32 unless said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from recurra.experiment import Model, Train

CONTRACT = 1
"""The version of this contract. A backend states the versions that it was written for (`Backend.contract`)."""

Weights = dict[str, np.ndarray]
"""Canonical name -> float32 array in canonical layout (see `recurra.weights`)."""


@dataclass(frozen=True)
class SampleShape:
    """One sample's shape. `kind` says how a recurrent network reads it: an image row by row, a clip frame by frame."""

    kind: Literal["image", "clip"]
    frames: int
    height: int
    width: int
    channels: int

    @property
    def array(self) -> tuple[int, int, int, int]:
        """(T, H, W, C)."""
        return (self.frames, self.height, self.width, self.channels)

    @property
    def steps(self) -> int:
        """Steps of a recurrent network over one sample."""
        return self.height if self.kind == "image" else self.frames


@dataclass(frozen=True)
class ClassifierSpec:
    """All that a backend needs to know to build a classifier."""

    model: Model
    train: Train
    sample: SampleShape
    classes: int


@dataclass(frozen=True)
class Batches:
    """Some consecutive steps of an epoch, ready for the network: normalised, augmented, all of one batch size.

    A backend trains on x[0], x[1], ... in this order, one optimiser step each. Within an epoch only the last `Batches`
    may have a smaller batch (its own S is then 1), so a graph needs at most two batch sizes.
    """

    x: np.ndarray
    """[S, B, T, H, W, C] float32, C-contiguous."""
    y: np.ndarray
    """[S, B] int64, labels from 0."""
    learning_rates: np.ndarray
    """[S] float32, the learning rate of each step (the schedule is core's)."""
    first_step: int
    """The number of optimiser steps taken before x[0], counted from the start of the training."""


@dataclass(frozen=True)
class StepRecords:
    """What happened in each step of one `Batches`."""

    loss: np.ndarray
    """[S] float32, the mean cross-entropy of each batch before its update (natural logarithm, no penalty terms)."""
    correct: np.ndarray
    """[S] int64, samples of each batch whose highest logit is the label, before its update."""


@dataclass(frozen=True)
class Device:
    """A device that a backend can compute on."""

    name: str
    """`cpu` or `gpu:N`."""
    description: str


@runtime_checkable
class Classifier(Protocol):
    """A network that a backend built, on its device, with its optimiser."""

    def train_steps(self, batches: Batches) -> StepRecords:
        """One optimiser step for each batch, in order; returns when all are done.

        The loss is the mean softmax cross-entropy. The optimiser is Adam as `recurra.optimiser` writes it:
        decoupled weight decay on kernels, gradient clipping by global norm, epsilon outside the bias-corrected root.
        """
        ...

    def logits(self, x: np.ndarray) -> np.ndarray:
        """x [N, T, H, W, C] -> [N, K] float32, without dropout; leaves the training state as it was."""
        ...

    def features(self, x: np.ndarray) -> np.ndarray:
        """x [N, T, H, W, C] -> [N, F] float32, the input of the output layer, without dropout."""
        ...

    def weights(self) -> Weights:
        """A copy of every weight, named and laid out as `recurra.weights.layout(spec)` says."""
        ...

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Takes over weights in canonical layout; the optimiser is left as it is."""
        ...

    def training_state(self) -> dict[str, np.ndarray]:
        """A copy of everything but the weights that the next step depends on.

        `adam.step` (int64, a scalar), `adam.m.NAME` and `adam.v.NAME` for each canonical weight NAME, in its
        layout; and `backend.*` for what is this backend's own (random generators).
        """
        ...

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes over a training state. `backend.*` entries of another backend are ignored."""
        ...


@runtime_checkable
class Backend(Protocol):
    """What a plugin's `recurra_backend` hook returns. Making one imports no framework."""

    name: str
    contract: tuple[int, int]
    """First and last version of the contract that this backend was written for."""
    capabilities: frozenset[str]
    """Of: cnn, rnn, fusion, exact-resume, bf16."""

    def describe(self) -> dict[str, str]:
        """Versions and settings that a run should record: the framework's version, threads, device libraries."""
        ...

    def devices(self) -> list[Device]:
        """The devices that the framework sees, best first."""
        ...

    def build(self, spec: ClassifierSpec, device: str, seed: int) -> Classifier:
        """A classifier on `device` (`cpu`, `gpu:N`). Core loads its first weights; `seed` is for dropout."""
        ...
