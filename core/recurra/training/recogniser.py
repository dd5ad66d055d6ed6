"""The training of a recogniser: cross-entropy on the training split, measured on the validation split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recurra import augmentation
from recurra.batches import TrainingData, in_order
from recurra.classifiers import Built, build, spec_for
from recurra.contract import Batches, Classifier
from recurra.dataset import Dataset
from recurra.experiment import Experiment
from recurra.normalisation import Normalisation
from recurra.optimiser import learning_rates
from recurra.progress import Progress
from recurra.training.loop import Row, Sums, Training
from recurra.weights import initial_weights


@dataclass(frozen=True)
class Validation:
    """The held-out split, and the loss and accuracy of a network on it."""

    pixels: np.ndarray
    labels: np.ndarray
    normalisation: Normalisation

    def measure(self, classifier: Classifier) -> dict[str, float]:
        """`val_loss` (mean cross-entropy) and `val_accuracy`."""
        loss, correct = 0.0, 0
        for start, x in in_order(self.pixels, self.normalisation):
            logits = classifier.logits(x).astype(np.float64)
            labels = self.labels[start : start + len(x)]
            highest = logits.max(axis=1)
            normaliser = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
            loss += float((normaliser - logits[np.arange(len(x)), labels]).sum())
            correct += int((logits.argmax(axis=1) == labels).sum())
        return {"val_loss": loss / len(self.labels), "val_accuracy": correct / len(self.labels)}


class RecogniserTraining(Training):
    """A recogniser's training."""

    def __init__(
        self, experiment: Experiment, dataset: Dataset, built: Built, partial: Path, progress: Progress
    ) -> None:
        split, held_out = dataset.splits["train"], dataset.splits.get("validation")
        partial.mkdir(parents=True, exist_ok=True)
        self.data = TrainingData(split.pixels(partial), split.labels(), dataset.normalisation, experiment)
        self.classifier = built.classifier
        self.validation = (
            Validation(held_out.pixels(partial), held_out.labels(), dataset.normalisation)
            if held_out is not None and len(held_out)
            else None
        )
        super().__init__(experiment, built, partial, progress, len(self.data.labels), self.data.steps)

    def batches(self, epoch: int, first: int) -> Iterator[Batches]:
        """As the dataset gives them."""
        return self.data.epoch(epoch, first)

    def learn(self, batches: Batches) -> tuple[int, Sums]:
        """Sums of the loss and of the samples that were recognised."""
        records, batch = self.classifier.train_steps(batches), batches.y.shape[1]
        sums = {"loss": records.loss.astype(np.float64) * batch, "accuracy": records.correct.astype(np.float64)}
        return batches.y.size, sums

    def measured(self, epoch: int, means: Mapping[str, float]) -> Row:
        """Loss and accuracy on both splits."""
        measured = self.validation.measure(self.classifier) if self.validation else {}
        last = np.array([epoch * self.steps - 1])
        return {
            "train_loss": means["loss"],
            "train_accuracy": means["accuracy"],
            "val_loss": measured.get("val_loss"),
            "val_accuracy": measured.get("val_accuracy"),
            "learning_rate": float(learning_rates(self.experiment.train, last, self.steps)[0]),
        }

    def value(self, row: Row) -> float | None:
        """The validation's loss or accuracy; the training's loss where nothing is held out."""
        if row["val_loss"] is None:
            return -row["train_loss"]
        return -row["val_loss"] if self.experiment.train.monitor == "val_loss" else row["val_accuracy"]

    @property
    def monitored(self) -> str:
        """A field of the history."""
        return self.experiment.train.monitor if self.validation else "train_loss"

    def words(self, row: Row) -> str:
        """Loss and accuracy."""
        shown = f"loss {row['train_loss']:.4f}  accuracy {row['train_accuracy']:.4f}"
        if row["val_loss"] is not None:
            shown += f"  val_loss {row['val_loss']:.4f}  val_accuracy {row['val_accuracy']:.4f}"
        return shown


def recogniser_training(experiment: Experiment, dataset: Dataset, partial: Path, progress: Progress) -> Training:
    """The training that an experiment with a recogniser asks for, its network built with the first weights."""
    augmentation.check(experiment.data.augment, dataset.sample.height, dataset.sample.width)
    spec = spec_for(experiment, dataset.sample, len(dataset.classes))
    first_weights = initial_weights(spec, experiment.seed)
    built = build(experiment, dataset.sample, len(dataset.classes), first_weights, "the first weights", progress.note)
    return RecogniserTraining(experiment, dataset, built, partial, progress)
