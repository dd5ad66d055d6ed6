"""The contract between recurra and a backend: what core asks for, what a backend answers.

Shapes at every boundary are [N, T, H, W, C]; an image is a clip with T = 1. Arrays are NumPy's, float32 unless said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:  # listing plugins imports this module, and need not wait for the experiment file's
    from recurra.experiment import Model, Train

CONTRACT = 1
"""The version of this contract. A backend states the versions that it was written for (`Backend.contract`); those that
have this one or the one before among them are served."""

KINDS = ("cnn", "rnn", "fusion", "gan")
"""The networks that a backend may claim; `Backend.capabilities` has at least one. Training a `gan` asks for one of the
others too, since a recogniser judges its samples."""
CAPABILITIES = (*KINDS, "exact-resume", "bf16", "data-parallel", "float64")
"""All that a backend may claim. `float64` says that it computes in float64 and rounds what it hands over, and has the
conformance kit compare strictly."""

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
class GanSpec:
    """All that a backend needs to know to build a recurrent GAN."""

    model: Model
    train: Train
    sample: SampleShape
    classes: int
    bounds: tuple[tuple[float, float], ...] | None
    """Per channel the least and the largest value that a normalised pixel can have; None where there is no bound
    (float data), and the generator's output is then linear."""


Spec = ClassifierSpec | GanSpec


@dataclass(frozen=True)
class Batches:
    """Some consecutive steps of an epoch, ready for the network: normalised, augmented, all of one batch size.

    A backend trains on x[0], x[1], ... in this order, one optimiser step each. Within an epoch only the last `Batches`
    may have a smaller batch (its own S is then 1), so a graph needs at most two batch sizes. S is the same for all of
    an epoch but its end, where it is any number up to that: what is compiled should not depend on it.
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
class Latents:
    """What a generator makes samples from, drawn by core (`recurra.latents`)."""

    content: np.ndarray
    """[N, content] float32, standard normal."""
    noise: np.ndarray
    """[N, T, noise] float32, standard normal."""


@dataclass(frozen=True)
class GanBatches:
    """Some consecutive steps of a GAN's training, all of one batch size. All that is random in them is drawn by core.

    As with `Batches`, only the last one of an epoch may have a smaller batch.
    """

    x: np.ndarray
    """[S, B, T, H, W, C] float32, real samples, C-contiguous."""
    y: np.ndarray
    """[S, B] int64, their labels; the generated samples of the step have the same."""
    content: np.ndarray
    """[S, B, content] float32."""
    noise: np.ndarray
    """[S, B, T, noise] float32."""
    frames: np.ndarray
    """[S, B, F] int64, which frames of each clip, real and generated, the frame discriminator sees; F = 1 of an image.
    """
    augment: np.ndarray
    """[S, 3, B, 5] float32 in [0, 1): what the differentiable augmentation is drawn from, for the real samples, for the
    generated ones in the discriminators' update, and for them in the generator's (`recurra.gan_weights`)."""
    penalty: np.ndarray
    """[S] float32, the factor of R1 and R2 in each step: 0 where they are left out."""
    generator_rates: np.ndarray
    """[S] float32, the learning rate of each step."""
    discriminator_rates: np.ndarray
    """[S] float32."""
    first_step: int
    """The number of steps taken before x[0], counted from the start of the training."""


@dataclass(frozen=True)
class GanRecords:
    """What happened in each step of one `GanBatches`, [S] float32 each; sums over the frame and clip discriminator."""

    discriminator_loss: np.ndarray
    """Before the discriminators' update, without penalties."""
    generator_loss: np.ndarray
    """After the discriminators' update and before the generator's."""
    penalty: np.ndarray
    """gamma / 2 E |gradient|^2 of R1 and R2, without the step's factor; 0 in a step without penalties."""
    real_right: np.ndarray
    """Part of the real frames and clips that the discriminators took for real, in their update: the mean over the
    discriminators. Of the relativistic loss: of the pairs whose real one has the higher logit."""
    fake_right: np.ndarray
    """Part of the generated ones that they took for generated; of the relativistic loss the same as `real_right`."""


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
class RecurrentGan(Protocol):
    """A generator with its discriminators, on a device, with their optimisers (`recurra.gan_weights` has all
    equations).
    """

    def train_steps(self, batches: GanBatches) -> GanRecords:
        """For each batch, in order, one update of the discriminators and then one of the generator; returns when all
        are done.

        The generated samples are computed once: the discriminators learn from them as constants, the generator through
        the discriminators as they are after their update. The weights of the other side are left as they are. Last,
        the moving average of the generator's weights takes a step.
        """
        ...

    def generate(self, latents: Latents, labels: np.ndarray) -> np.ndarray:
        """labels [N] int64 -> samples [N, T, H, W, C] float32, normalised, of the averaged weights."""
        ...

    def judge(self, x: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The discriminators' logits, without augmentation: of every frame [N, T], and of the clips [N] (None for
        images), float32.
        """
        ...

    def weights(self) -> Weights:
        """A copy of every weight, named and laid out as `recurra.weights.layout(spec)` says."""
        ...

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Takes over weights in canonical layout; the optimisers are left as they are."""
        ...

    def training_state(self) -> dict[str, np.ndarray]:
        """As of a `Classifier`: `adam.step`, and `adam.m.NAME` and `adam.v.NAME` of every weight that is trained."""
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
    """Some of CAPABILITIES."""

    def describe(self) -> dict[str, str]:
        """Versions and settings that a run should record: the framework's version, threads, device libraries."""
        ...

    def devices(self) -> list[Device]:
        """The devices that the framework sees, best first."""
        ...

    def build(self, spec: ClassifierSpec, device: str, seed: int) -> Classifier:
        """A classifier on `device` (`cpu`, `gpu:N`). Core loads its first weights; `seed` is for dropout."""
        ...


@runtime_checkable
class GanBackend(Backend, Protocol):
    """A backend that claims `gan`."""

    def build_gan(self, spec: GanSpec, device: str) -> RecurrentGan:
        """A GAN on `device` (`cpu`, `gpu:N`). Core loads its first weights."""
        ...


@runtime_checkable
class ParallelBackend(Backend, Protocol):
    """A backend that claims `data-parallel`."""

    def build_parallel(self, spec: ClassifierSpec, devices: Sequence[str], seed: int) -> Classifier:
        """A classifier that trains on all `devices` (`gpu:0`, `gpu:1`; or `cpu` several times: as many processes or
        logical devices of it).

        A step's loss and gradient are those of the whole batch, however it is divided; a batch that the devices cannot
        share evenly, or that is smaller than their number, counts every sample once all the same. Everything else is as
        of one device: the same weights, states and records come back. Processes that it starts end with this one.
        """
        ...


@runtime_checkable
class MeasuringBackend(Backend, Protocol):
    """A backend that knows how much of a device's memory it takes. No capability: a run that does not know is whole."""

    def peak_memory(self, device: str) -> int | None:
        """The most bytes of the device's memory that were in use at once since the last network was built on it; None
        where that is not known (`cpu`: the process's own peak says it).
        """
        ...
