"""A GAN's batches: those of the dataset, with everything random that a step needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recurra.batches import TrainingData
from recurra.contract import Batches, GanBatches, GanSpec
from recurra.latents import augment_draws, frame_choices, latents


@dataclass(frozen=True)
class GanData:
    """A training split, and how it becomes the batches of a GAN."""

    data: TrainingData
    spec: GanSpec
    seed: int

    def epoch(self, epoch: int, first: int = 0) -> Iterator[GanBatches]:
        """The batches of an epoch (from 1) from its step `first` (from 0) on."""
        return (gan_batches(batches, self.spec, self.seed) for batches in self.data.epoch(epoch, first))


def gan_batches(batches: Batches, spec: GanSpec, seed: int) -> GanBatches:
    """The same steps, with what is drawn for them: a pure function of the seed and each step's number."""
    (steps, size), gan = batches.y.shape, spec.train.gan
    numbers = batches.first_step + np.arange(steps)
    rows = (numbers[:, None] * spec.train.samples_per_step + np.arange(size)).reshape(-1)
    drawn = latents(spec, seed, rows, "training ")
    ratio = (gan.discriminator_learning_rate or spec.train.learning_rate) / spec.train.learning_rate
    penalised = (numbers % gan.penalty_every == 0) & (gan.r1 + gan.r2 > 0)
    return GanBatches(
        x=batches.x,
        y=batches.y,
        content=drawn.content.reshape(steps, size, -1),
        noise=drawn.noise.reshape(steps, size, *drawn.noise.shape[1:]),
        frames=frame_choices(spec, seed, rows).reshape(steps, size, -1),
        augment=np.ascontiguousarray(augment_draws(seed, rows).reshape(3, steps, size, 5).swapaxes(0, 1)),
        penalty=np.where(penalised, gan.penalty_every, 0).astype(np.float32),
        generator_rates=batches.learning_rates,
        discriminator_rates=batches.learning_rates * np.float32(ratio),
        first_step=batches.first_step,
    )
