"""Which batch size fits a device's memory: found by a step of training, in this process, of which nothing is kept."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from recurra.checkpoint import read_arrays, write_arrays
from recurra.errors import DeviceMemoryError, RecurraError
from recurra.experiment import Experiment
from recurra.progress import Progress
from recurra.training.loop import CHECKPOINT, set_aside

LARGEST = 256
"""Of `train.batch_size: auto`: larger batches need other learning rates, which nobody asked for."""
FILE = "batch_size.safetensors"
"""Beside the checkpoint: what `auto` came to when the training began, with a checksum as all that a training needs."""
Try = Callable[[int], None]
"""Trains a step with batches of so many samples; a DeviceMemoryError where that does not fit."""


def halves(size: int) -> Iterator[int]:
    """size / 2, size / 4, ... down to 1, rounded down."""
    while size := size // 2:
        yield size


def powers(samples: int) -> Iterator[int]:
    """Powers of two, falling, from the largest that `samples` and LARGEST allow."""
    first = 1 << (min(samples, LARGEST).bit_length() - 1)
    yield first
    yield from halves(first)


def largest(attempt: Try, sizes: Iterable[int]) -> int | None:
    """The first of the sizes with which a step fits, or None."""
    return next((size for size in sizes if _fits(attempt, size)), None)


def _fits(attempt: Try, size: int) -> bool:
    # An error is gone by now, and its traceback with it; what is left of the network before may be in cycles.
    gc.collect()
    try:
        attempt(size)
    except DeviceMemoryError:
        return False
    gc.collect()
    return True


def of_size(experiment: Experiment, size: int) -> Experiment:
    """The experiment with this batch size."""
    train = experiment.train.model_copy(update={"batch_size": size})
    return experiment.model_copy(update={"train": train})


def settled(experiment: Experiment, samples: int, partial: Path, attempt: Try, progress: Progress) -> Experiment:
    """The experiment with a number for its batch size, to train on so many samples.

    What `auto` comes to is kept in the folder `partial`, where the checkpoint is: a training goes on with the batches
    that it began with, whatever the device's memory has left by then. DeviceMemoryError: not even one sample fits.
    """
    if experiment.train.batch_size != "auto":
        return experiment
    found = _kept(partial, progress)
    if found is None:
        found = largest(attempt, powers(samples))
        if found is None:
            raise DeviceMemoryError(
                "train.batch_size: auto: out of memory with a single sample; use a smaller model or data.size"
            )
        _keep(partial, found)
    progress.note(f"train: train.batch_size is {found} (auto)")
    return of_size(experiment, found)


def halved(partial: Path) -> bool:
    """Halves what `auto` came to, where a training did not fit after all, and says whether that could be done.

    A step that fits by a hair can be too much when memory is in pieces. Once there is a checkpoint it is too late: its
    place in the epoch is counted in batches.
    """
    try:
        size = _read(partial) // 2
    except RecurraError:
        return False
    if not size or (partial / CHECKPOINT).exists():
        return False
    _keep(partial, size)
    gc.collect()  # as in `_fits`
    return True


def _keep(partial: Path, size: int) -> None:
    partial.mkdir(parents=True, exist_ok=True)
    write_arrays(partial / FILE, {"batch_size": np.array(size, np.int64)})


def _read(partial: Path) -> int:
    return int(read_arrays(partial / FILE)[0]["batch_size"])


def _kept(partial: Path, progress: Progress) -> int | None:
    """What was found when the training began. Where that cannot be read, nor can its checkpoint be gone on from."""
    try:
        return _read(partial)
    except RecurraError as error:
        if (partial / CHECKPOINT).exists():
            set_aside(partial / CHECKPOINT, str(error), progress)
    return None


def too_large(experiment: Experiment, samples: int, device: str, attempt: Try) -> str:
    """What to say where a step did not fit: with which batch size it does."""
    size = experiment.train.samples_per_step
    full = f"out of memory on {device} with train.batch_size {size}"
    fitting = largest(attempt, halves(min(size, samples)))
    if fitting is not None:
        return f"{full}; {fitting} fits"
    smaller = ", and with every smaller one" if size > 1 else ""
    return f"{full}{smaller}; use a smaller model or data.size"
