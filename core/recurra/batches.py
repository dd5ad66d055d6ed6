"""Batches ready for a network.

Their order is a pure function of (seed, epoch), the same for every backend and after a resume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from recurra.augmentation import augmented
from recurra.contract import Batches, GanBatches
from recurra.experiment import Experiment
from recurra.normalisation import Normalisation
from recurra.optimiser import learning_rates

_BYTES = 16 * 2**20
"""Of float32 pixels handed to a backend at once: enough for an in-graph loop, small beside any machine's memory."""
_STEPS = 16
"""At most, so that progress, checkpoints and Ctrl-C do not wait long for a slow network."""
T = TypeVar("T")
B = TypeVar("B", Batches, GanBatches)


def order(seed: int, epoch: int, samples: int) -> np.ndarray:
    """The samples in the order in which an epoch (from 1) visits them: [N] int64."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, epoch]))).permutation(samples)


@dataclass(frozen=True)
class TrainingData:
    """A training split in memory or memory-mapped, and how its samples become batches."""

    pixels: np.ndarray
    """[N, T, H, W, C] uint8 or float32."""
    labels: np.ndarray
    """[N] int64."""
    normalisation: Normalisation
    experiment: Experiment

    @property
    def steps(self) -> int:
        """Steps of one epoch; the last batch may be smaller."""
        return -(-len(self.labels) // self.experiment.train.samples_per_step)

    @property
    def steps_at_once(self) -> int:
        """Steps of one `Batches`."""
        batch = self.experiment.train.samples_per_step * int(np.prod(self.pixels.shape[1:])) * 4
        return max(1, min(_STEPS, _BYTES // batch))

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batches]:
        """The batches of an epoch (from 1) from its step `first` (from 0) on, prepared while those before train."""
        size, visited = self.experiment.train.samples_per_step, order(self.experiment.seed, epoch, len(self.labels))
        whole = len(visited) // size
        starts = range(first, whole, self.steps_at_once)
        parts = [(start, min(start + self.steps_at_once, whole)) for start in starts]
        if first <= whole < self.steps:
            parts.append((whole, whole + 1))

        def part(start: int, stop: int) -> Batches:
            return self._batches(visited[start * size : stop * size], epoch, start, stop)

        return ahead([lambda start=start, stop=stop: part(start, stop) for start, stop in parts])

    def _batches(self, samples: np.ndarray, epoch: int, start: int, stop: int) -> Batches:
        x = self.normalisation.apply(self.pixels[samples])
        augment, experiment = self.experiment.data.augment, self.experiment
        if augment.active:
            x = augmented(x, augment, experiment.seed, epoch, samples)
        steps = (epoch - 1) * self.steps + np.arange(start, stop)
        return Batches(
            x.reshape(stop - start, -1, *x.shape[1:]),
            self.labels[samples].reshape(stop - start, -1),
            learning_rates(experiment.train, steps, self.steps),
            int(steps[0]),
        )


def first_step(batches: B) -> B:
    """The first step of some, alone."""
    arrays = {name: value[:1] for name, value in vars(batches).items() if isinstance(value, np.ndarray)}
    return replace(batches, **arrays)


def ahead(jobs: list[Callable[[], T]]) -> Iterator[T]:
    """The jobs' results in order, each job done in a thread while the result before it is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        following = [thread.submit(job) for job in jobs[:1]]
        for job in jobs[1:]:
            result = following.pop().result()
            following.append(thread.submit(job))
            yield result
        for last in following:
            yield last.result()


def inference_batch(sample_shape: tuple[int, ...]) -> int:
    """Samples to put through a network at once where nothing is learnt."""
    return int(np.clip(_BYTES // (int(np.prod(sample_shape)) * 4), 1, 256))


def in_order(pixels: np.ndarray, normalisation: Normalisation) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, x [n, T, H, W, C] float32) over all rows, for inference."""
    size = inference_batch(pixels.shape[1:])
    for start in range(0, len(pixels), size):
        yield start, normalisation.apply(pixels[start : start + size])
