"""What every contender of one comparison trains: the network, the samples, and how many of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from recurra.contract import SampleShape
from recurra.experiment import Adversarial, Gan, Rnn
from recurra.normalisation import Normalisation

BATCH = 32
CLASSES = 10
LEARNING_RATE = 1e-3
GAN_LEARNING_RATE = 2e-4
RNN, GAN, ADVERSARIAL = Rnn(), Gan(), Adversarial()
"""The widths and the losses of a GAN: the defaults."""
IMAGE = SampleShape("image", 1, 28, 28, 1)
CLIP = SampleShape("clip", 20, 16, 16, 1)


@dataclass(frozen=True)
class Scenario:
    """A network on samples of one shape. Every contender makes the same arrays from it."""

    network: Literal["cnn", "rnn", "fusion", "gan"]
    sample: SampleShape
    samples: int
    """Samples of one epoch, a multiple of the batch size; a round is one epoch."""
    device: Literal["cpu", "gpu"] = "cpu"

    @property
    def name(self) -> str:
        """`cnn, images 28x28x1`."""
        shape = self.sample.array[1:] if self.sample.kind == "image" else self.sample.array
        return f"{self.network}, {self.sample.kind}s {'x'.join(map(str, shape))}"

    def on(self, device: Literal["cpu", "gpu"], shorter: int = 1) -> Scenario:
        """The same on a device, with so many times fewer samples."""
        return replace(self, device=device, samples=self.samples // shorter // BATCH * BATCH)

    @cached_property
    def labels(self) -> np.ndarray:
        """[N] int64."""
        return np.random.default_rng(1).integers(0, CLASSES, self.samples)

    @cached_property
    def pixels(self) -> np.ndarray:
        """[N, T, H, W, C] as a dataset stores them, uint8 for images and float32 for clips: a pattern of each class
        under noise, so that there is something to learn."""
        generator = np.random.default_rng(0)
        patterns = generator.random((CLASSES, *self.sample.array), np.float32)
        noise = generator.random((self.samples, *self.sample.array), np.float32)
        mixed = 0.3 * patterns[self.labels] + 0.7 * noise
        return (mixed * 255).astype(np.uint8) if self.sample.kind == "image" else mixed

    @property
    def normalisation(self) -> Normalisation:
        """What makes network input of `pixels`."""
        if self.sample.kind == "image":
            return Normalisation((float(np.float32(1 / 255)),), (0.0,))
        return Normalisation((4.0,), (-2.0,))

    def network_input(self) -> np.ndarray:
        """`pixels` normalised, all at once and before the clock runs, as a user of the other loops would prepare them:
        float32, images [N, H, W, C], clips [N, T, H, W, C]."""
        x = self.normalisation.apply(self.pixels)
        return x[:, 0] if self.sample.kind == "image" else x


RECOGNISERS = (
    Scenario("cnn", IMAGE, 4096),
    Scenario("rnn", IMAGE, 2048),
    Scenario("fusion", IMAGE, 1024),
    Scenario("fusion", CLIP, 512),
)
# A multiple of 8 steps, even with --quick: all rounds have as many steps with penalties.
GANS = (
    Scenario("gan", IMAGE, 4096),
    Scenario("gan", CLIP, 1024),
)
