"""Who takes part: recurra's backends, and for each the loops that it is compared with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Group = Literal["torch", "tensorflow", "keras-torch"]


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


RECURRA = {
    "torch": Contender("recurra torch", "bench.recurra_loop", {"BENCH_BACKEND": "torch"}),
    "tensorflow": Contender("recurra tensorflow", "bench.recurra_loop", {"BENCH_BACKEND": "tensorflow"}),
}
RIVALS = {
    "torch": (
        Rival(Contender("PyTorch loop", "bench.torch_loop"), "torch"),
        Rival(
            Contender("Lightning", "bench.lightning_loop"),
            "torch",
            {("cnn", "image"): 1.5, ("fusion", "image"): 3.0},
        ),
        Rival(Contender("Keras on PyTorch", "bench.keras_fit", {"KERAS_BACKEND": "torch"}), "keras-torch"),
    ),
    "tensorflow": (
        Rival(
            Contender("Keras on TensorFlow", "bench.keras_fit", {"KERAS_BACKEND": "tensorflow"}),
            "tensorflow",
            {("cnn", "image"): 1.1, ("fusion", "image"): 3.0},
        ),
    ),
}
