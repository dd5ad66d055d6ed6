"""The train stage: of a recogniser or of a GAN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recurra.dataset import Dataset
from recurra.errors import DeviceMemoryError
from recurra.experiment import Experiment
from recurra.progress import Progress, Silent
from recurra.training.fitting import halved, of_size, settled, too_large
from recurra.training.loop import CHECKPOINT, StepMemoryError, Training, write_history

__all__ = ["CHECKPOINT", "Training", "train", "write_history"]


def train(
    experiment: Experiment,
    dataset_folder: Path,
    partial: Path,
    folder: Path,
    progress: Progress,
    judge: Path | None = None,
) -> None:
    """Trains, and fills `folder` with best, last and state .safetensors, history.parquet and train.json.

    `judge` is for a GAN: the weights of the recogniser that measures its samples. DeviceMemoryError where a step does
    not fit: it names a batch size that does.
    """
    dataset = Dataset.open(dataset_folder)

    def begun(chosen: Experiment, told: Progress) -> Training:
        return _training(chosen, dataset, partial, told, judge)

    def attempt(size: int) -> None:
        begun(of_size(experiment, size), Silent()).try_step()

    samples = len(dataset.splits["train"])
    while True:
        chosen = settled(experiment, samples, partial, attempt, progress)
        full = _done(lambda chosen=chosen: begun(chosen, progress), folder)
        if full is None:
            return
        if experiment.train.batch_size != "auto" or not halved(partial):
            line = too_large(chosen, samples, full.device, attempt)
            raise DeviceMemoryError(line) from DeviceMemoryError(full.told)


@dataclass(frozen=True)
class Full:
    """A device whose memory did not hold a step, and what the backend said of it."""

    device: str
    told: str


def _done(begin: Callable[[], Training], folder: Path) -> Full | None:
    """Trains to the end; or says what was full, the network being let go, so that others have its place."""
    training = begin()
    training.restore()
    try:
        stopped = training.run()
    except StepMemoryError as error:
        return Full(training.built.device, str(error))
    training.finish(folder, stopped)
    return None


def _training(
    experiment: Experiment, dataset: Dataset, partial: Path, progress: Progress, judge: Path | None
) -> Training:
    if experiment.model.kind != "gan":
        from recurra.training.recogniser import recogniser_training

        return recogniser_training(experiment, dataset, partial, progress)
    from recurra.training.gan import gan_training

    return gan_training(experiment, dataset, partial, progress, judge)
