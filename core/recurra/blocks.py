"""Networks that answer in smaller blocks where the device's memory is full, instead of failing; and whose answers have
the contract's shapes, whoever wrote their backend.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Generic, TypeVar

import numpy as np

from recurra.contract import (
    Batches,
    Classifier,
    GanBatches,
    GanRecords,
    Latents,
    RecurrentGan,
    StepRecords,
    Weights,
)
from recurra.errors import DeviceMemoryError, RecurraError

Note = Callable[[str], None]
Ask = Callable[[slice], np.ndarray]
"""Some of the samples -> a row for each."""
Network = TypeVar("Network", Classifier, RecurrentGan)


def unheard(line: str) -> None:
    """Tells nobody."""


def of_shape(found: Any, what: str, *shape: int | None) -> np.ndarray:
    """An answer of a backend; a RecurraError unless it is an array of this shape (None: any number)."""
    sizes = getattr(found, "shape", None)
    if sizes is None or len(sizes) != len(shape) or any(w not in (None, n) for n, w in zip(sizes, shape, strict=True)):
        is_now = type(found).__name__ if sizes is None else f"of shape {list(sizes)}"
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise RecurraError(
            f"the backend's {what} is {is_now}, expected [{wanted}]: a fault of the backend, of which"
            " `recurra plugins check NAME` says more"
        )
    return found


class Blocks:
    """How many samples a device's memory holds at once. It is halved where that was too many, and stays so."""

    def __init__(self, device: str, note: Note) -> None:
        self.device, self.note, self.size, self.told = device, note, sys.maxsize, False

    def answer(self, ask: Ask, samples: int) -> np.ndarray:
        """A row for each sample; a DeviceMemoryError where not even a block of one sample fits."""
        before = self.size
        while (found := self._tried(ask, samples)) is None:
            self.size = min(self.size, samples) // 2
            gc.collect()  # a graph, or a frame of the failed call, may be in a cycle that holds the device's memory
        if self.size < before and not self.told:
            self.told = True
            self.note(f"warning: the memory of {self.device} is full; going on with {self.size:,} samples at once")
        return found

    def _tried(self, ask: Ask, samples: int) -> np.ndarray | None:
        size = min(self.size, max(1, samples))
        try:
            blocks = [ask(slice(start, start + size)) for start in range(0, max(1, samples), size)]
        except DeviceMemoryError as error:
            if size == 1:
                raise DeviceMemoryError(
                    f"out of memory on {self.device} with a single sample; use a smaller model or data.size"
                ) from error
            return None  # the error goes away here, and with it what its traceback holds of the device's memory
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


class InBlocks(Generic[Network]):
    """A network whose answers come in blocks that fit; everything else is as its own."""

    def __init__(self, network: Network, device: str, note: Note = unheard) -> None:
        self.inner, self.blocks = network, Blocks(device, note)

    def weights(self) -> Weights:
        """A copy."""
        return self.inner.weights()

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Takes them over."""
        self.inner.load_weights(weights)

    def training_state(self) -> dict[str, np.ndarray]:
        """A copy."""
        return self.inner.training_state()

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes it over."""
        self.inner.load_training_state(state)


class ClassifierInBlocks(InBlocks[Classifier]):
    """A classifier, its logits and features in blocks that fit."""

    def train_steps(self, batches: Batches) -> StepRecords:
        """As its own: the batch size is the experiment's, and never changed behind its back."""
        records = self.inner.train_steps(batches)
        for name in ("loss", "correct"):
            of_shape(getattr(records, name, None), name, len(batches.x))
        return records

    def logits(self, x: np.ndarray) -> np.ndarray:
        """x [N, T, H, W, C] -> [N, K] float32."""

        def some(block: slice) -> np.ndarray:
            return of_shape(self.inner.logits(x[block]), "answer (logits)", len(x[block]), None)

        return self.blocks.answer(some, len(x))

    def features(self, x: np.ndarray) -> np.ndarray:
        """x [N, T, H, W, C] -> [N, F] float32."""

        def some(block: slice) -> np.ndarray:
            return of_shape(self.inner.features(x[block]), "answer (features)", len(x[block]), None)

        return self.blocks.answer(some, len(x))


class GanInBlocks(InBlocks[RecurrentGan]):
    """A GAN that generates in blocks that fit."""

    def train_steps(self, batches: GanBatches) -> GanRecords:
        """As its own."""
        records = self.inner.train_steps(batches)
        for each in fields(GanRecords):
            of_shape(getattr(records, each.name, None), each.name, len(batches.x))
        return records

    def generate(self, latents: Latents, labels: np.ndarray) -> np.ndarray:
        """labels [N] int64 -> samples [N, T, H, W, C] float32, normalised."""

        def some(block: slice) -> np.ndarray:
            made = self.inner.generate(Latents(latents.content[block], latents.noise[block]), labels[block])
            return of_shape(made, "samples", len(labels[block]), latents.noise.shape[1], None, None, None)

        return self.blocks.answer(some, len(labels))

    def judge(self, x: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """As its own."""
        return self.inner.judge(x, labels)
