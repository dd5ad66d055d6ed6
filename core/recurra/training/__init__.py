"""The train stage: of a recogniser or of a GAN."""

from __future__ import annotations

from pathlib import Path

from recurra.dataset import Dataset
from recurra.experiment import Experiment
from recurra.progress import Progress
from recurra.training.loop import CHECKPOINT, Training, write_history

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

    `judge` is for a GAN: the weights of the recogniser that measures its samples.
    """
    training = _training(experiment, Dataset.open(dataset_folder), partial, progress, judge)
    training.restore()
    stopped = training.run()
    training.finish(folder, stopped)


def _training(
    experiment: Experiment, dataset: Dataset, partial: Path, progress: Progress, judge: Path | None
) -> Training:
    if experiment.model.kind != "gan":
        from recurra.training.recogniser import recogniser_training

        return recogniser_training(experiment, dataset, partial, progress)
    from recurra.training.gan import gan_training

    return gan_training(experiment, dataset, partial, progress, judge)
