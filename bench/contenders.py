"""Who takes part: recurra's backends, for each the loops that it is compared with, and what all of them train."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bench.scenario import GANS, RECOGNISERS, Scenario

Group = Literal["torch", "tensorflow", "keras-torch", "torch-gan", "tensorflow-gan"]


@dataclass(frozen=True)
class Contender:
    """A way to train, in a process of its own: a framework, and above all its settings, are process-wide."""

    name: str
    module: str
    """Has `run(scenario, turns)`."""
    environment: dict[str, str] = field(default_factory=dict)
    """Set before anything is imported."""


@dataclass(frozen=True)
class Rival:
    """A loop that a backend of recurra is compared with, and how many times as fast the backend is to be."""

    contender: Contender
    group: Group
    targets: dict[tuple[str, str], float] = field(default_factory=dict)
    """By network and kind of sample; what has none is only shown."""


@dataclass(frozen=True)
class Match:
    """Who trains what."""

    ours: Contender
    rivals: tuple[Rival, ...]
    scenarios: tuple[Scenario, ...]


MATCHES = (
    Match(
        Contender("recurra torch", "bench.recurra_loop", {"BENCH_BACKEND": "torch"}),
        (
            Rival(Contender("PyTorch loop", "bench.torch_loop"), "torch"),
            Rival(
                Contender("Lightning", "bench.lightning_loop"),
                "torch",
                {("cnn", "image"): 1.5, ("fusion", "image"): 3.0},
            ),
            Rival(Contender("Keras on PyTorch", "bench.keras_fit", {"KERAS_BACKEND": "torch"}), "keras-torch"),
        ),
        RECOGNISERS,
    ),
    Match(
        Contender("recurra tensorflow", "bench.recurra_loop", {"BENCH_BACKEND": "tensorflow"}),
        (
            Rival(
                Contender("Keras on TensorFlow", "bench.keras_fit", {"KERAS_BACKEND": "tensorflow"}),
                "tensorflow",
                {("cnn", "image"): 1.1, ("fusion", "image"): 3.0},
            ),
        ),
        RECOGNISERS,
    ),
    Match(
        Contender("recurra torch GAN", "bench.recurra_gan", {"BENCH_BACKEND": "torch"}),
        (
            Rival(Contender("PyTorch loop", "bench.torch_gan", {"BENCH_FAKES": "once"}), "torch-gan"),
            Rival(Contender("PyTorch, fresh fakes", "bench.torch_gan", {"BENCH_FAKES": "twice"}), "torch-gan"),
        ),
        GANS,
    ),
    Match(
        Contender("recurra tensorflow GAN", "bench.recurra_gan", {"BENCH_BACKEND": "tensorflow"}),
        (
            Rival(
                Contender("TensorFlow loop", "bench.tensorflow_gan", {"KERAS_BACKEND": "tensorflow"}),
                "tensorflow-gan",
            ),
        ),
        GANS,
    ),
)
