"""The small GANs that a backend is held to, with weights, batches and a way to start each of them anew."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from recurra.conformance.discriminators import unit
from recurra.conformance.generator import bounded
from recurra.contract import Batches, GanBatches, GanSpec, Latents, RecurrentGan, SampleShape, Weights
from recurra.experiment import Gan, Model, Rnn, Train
from recurra.gan_batches import gan_batches
from recurra.gan_weights import is_trained
from recurra.latents import latents
from recurra.weights import layout

CLASSES = 3
BATCH = 4
LSTM = Rnn(units=4)
Bounds = tuple[tuple[float, float], ...] | None


@dataclass(frozen=True)
class Small:
    """What makes one small GAN different from the next."""

    sample: SampleShape
    bounds: Bounds
    rnn: Rnn = LSTM
    gan: dict[str, Any] = field(default_factory=dict)
    adversarial: dict[str, Any] = field(default_factory=dict)


IMAGE = SampleShape("image", 1, 8, 8, 1)
CLIP = SampleShape("clip", 4, 8, 8, 1)
ODD = SampleShape("clip", 5, 9, 7, 2)
GANS = {
    "image": Small(IMAGE, ((0.0, 1.0),)),
    "image-colour": Small(
        SampleShape("image", 1, 8, 8, 3),
        ((-1.2, 1.5), (-1.0, 1.0), (0.0, 2.0)),
        Rnn(cell="gru", units=5),
        {"channels": (4,), "frame_channels": (3,)},
        {"r2": 0.7, "average": 0.2},
    ),
    "image-augmented": Small(
        IMAGE, ((-1.0, 1.0),), adversarial={"translation": 0.25, "cutout": 0.4, "brightness": 0.3, "average": 0.0}
    ),
    "clip": Small(CLIP, None),
    "clip-odd": Small(
        ODD, None, Rnn(cell="gru", units=3, layers=2), {"clip_steps": (3, 4, 5)}, {"frames": 3, "beta_1": 0.5}
    ),
    "clip-bidirectional": Small(
        CLIP,
        ((-1.0, 2.0),),
        Rnn(units=3, layers=2, bidirectional=True),
        {"clip_steps": (3,)},
        {"loss": "hinge", "r2": 0.5},
    ),
    "clip-spectral": Small(
        CLIP, None, Rnn(cell="gru", units=3, bidirectional=True), {"spectral_norm": True}, {"loss": "relativistic"}
    ),
    "clip-augmented": Small(
        ODD,
        ((-1.0, 1.0), (-0.5, 0.7)),
        gan={"clip_steps": (), "spectral_norm": True},
        adversarial={"translation": 0.2, "cutout": 0.3, "brightness": 0.5, "r1": 0.3, "r2": 0.6, "frames": 9},
    ),
}


def gan_spec_of(network: str, **train: Any) -> GanSpec:
    """The spec of one of GANS; `train` is added to its settings, those of `train.gan` under `gan`."""
    small = GANS[network]
    widths = {"channels": (4, 3), "frame_channels": (3, 4), "clip_channels": (3, 4), "clip_steps": (3, 4)}
    gan = Gan(**{"content": 3, "noise": 2, "embedding": 3, "clip_width": 4, **widths, **small.gan})
    adversarial = {"penalty_every": 2, **small.adversarial, **train.pop("gan", {})}
    settings = {"learning_rate": 0.01, "batch_size": BATCH, **train, "gan": adversarial}
    model = Model(kind="gan", rnn=small.rnn, gan=gan)
    return GanSpec(model, Train.model_validate(settings), small.sample, CLASSES, small.bounds)


def random_gan_weights(spec: GanSpec, seed: int = 0) -> Weights:
    """Weights that are random in every entry, biases and averages too, and large enough that all of them count."""
    draw, weights = np.random.default_rng(seed), {}
    for name, shape in layout(spec).items():
        spread = 1 / math.sqrt(math.prod(shape[:-1])) if len(shape) > 1 else 0.3
        value = draw.normal(0, spread, shape)
        weights[name] = np.asarray(unit(value) if name.endswith(".u") else value, np.float32)
    return weights


def random_gan_batches(spec: GanSpec, steps: int, batch: int = BATCH, first_step: int = 0) -> GanBatches:
    """Noise between the pixels' bounds, with all that core draws for it."""
    draw = np.random.default_rng([7, first_step])
    x = bounded(draw.standard_normal((steps, batch, *spec.sample.array)), spec).astype(np.float32)
    y = draw.integers(0, spec.classes, (steps, batch))
    return gan_batches(Batches(x, y, np.full(steps, spec.train.learning_rate, np.float32), first_step), spec, seed=3)


def one_of(batches: GanBatches, s: int) -> GanBatches:
    """Step s alone."""
    parts = {name: value[s : s + 1] for name, value in vars(batches).items() if isinstance(value, np.ndarray)}
    return replace(batches, **parts, first_step=batches.first_step + s)


def still(batches: GanBatches, side: str) -> GanBatches:
    """The same steps, with a learning rate of 0 for the `generator` or the `discriminator`."""
    return replace(batches, **{f"{side}_rates": np.zeros_like(batches.generator_rates)})


def random_latents(spec: GanSpec, count: int) -> tuple[Latents, np.ndarray]:
    """Latents and labels of so many samples."""
    return latents(spec, 5, np.arange(count)), np.arange(count) % spec.classes


def start(gan: RecurrentGan, spec: GanSpec, weights: Weights) -> RecurrentGan:
    """The same GAN at these weights, before its first step."""
    trained = {name: shape for name, shape in layout(spec).items() if is_trained(name)}
    moments = {f"adam.{kind}.{name}": np.zeros(shape, np.float32) for name, shape in trained.items() for kind in "mv"}
    gan.load_weights(weights)
    gan.load_training_state({**gan.training_state(), **moments, "adam.step": np.array(0)})
    return gan
