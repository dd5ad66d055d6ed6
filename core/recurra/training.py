"""The train stage: core's loop over epochs, around what a backend does inside them.

Keeps a checkpoint in `partial` at the end of every epoch (and within long ones) and goes on from it when called again
with the same experiment; the result is the same bytes as of a training that was never interrupted.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from recurra import augmentation
from recurra.batches import TrainingData, in_order
from recurra.checkpoint import Checkpoint, Position, write_arrays
from recurra.classifiers import Built, build, spec_for
from recurra.contract import StepRecords, Weights
from recurra.dataset import Dataset
from recurra.durable import write_json
from recurra.environment import environment, peak_memory
from recurra.errors import InputError, RecurraError
from recurra.experiment import Experiment
from recurra.normalisation import Normalisation
from recurra.progress import Progress
from recurra.registry import extensions
from recurra.weights import initial_weights

CHECKPOINT = "checkpoint.safetensors"


def train(experiment: Experiment, dataset_folder: Path, partial: Path, folder: Path, progress: Progress) -> None:
    """Trains, and fills `folder` with best, last and state .safetensors, history.parquet and train.json."""
    partial.mkdir(parents=True, exist_ok=True)
    for left in partial.glob("*.tmp"):  # of a training that was killed while it wrote
        left.unlink()
    dataset = Dataset.open(dataset_folder)
    augmentation.check(experiment.data.augment, dataset.sample.height, dataset.sample.width)
    spec = spec_for(experiment, dataset.sample, len(dataset.classes))
    first_weights = initial_weights(spec, experiment.seed)
    built = build(experiment, dataset.sample, len(dataset.classes), first_weights, "the first weights")
    training = Training(experiment, dataset, built, partial, progress)
    training.restore()
    stopped = training.run()
    training.finish(folder, stopped)


@dataclass(frozen=True)
class Validation:
    """The held-out split, and the loss and accuracy of a network on it."""

    pixels: np.ndarray
    labels: np.ndarray
    normalisation: Normalisation

    def measure(self, built: Built) -> dict[str, float]:
        """`val_loss` (mean cross-entropy) and `val_accuracy`."""
        loss, correct = 0.0, 0
        for start, x in in_order(self.pixels, self.normalisation):
            logits = built.classifier.logits(x).astype(np.float64)
            labels = self.labels[start : start + len(x)]
            highest = logits.max(axis=1)
            normaliser = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
            loss += float((normaliser - logits[np.arange(len(x)), labels]).sum())
            correct += int((logits.argmax(axis=1) == labels).sum())
        return {"val_loss": loss / len(self.labels), "val_accuracy": correct / len(self.labels)}


@dataclass
class Training:
    """A training under way."""

    experiment: Experiment
    dataset: Dataset
    built: Built
    partial: Path
    progress: Progress
    position: Position = field(default_factory=Position)
    best: Weights = field(default_factory=dict)

    def __post_init__(self) -> None:
        split, scratch = self.dataset.splits["train"], self.partial
        self.data = TrainingData(split.pixels(scratch), split.labels(), self.dataset.normalisation, self.experiment)
        held_out = self.dataset.splits.get("validation")
        self.validation = (
            Validation(held_out.pixels(scratch), held_out.labels(), self.dataset.normalisation)
            if held_out is not None and len(held_out)
            else None
        )
        self.observers = extensions()
        self.saved = time.monotonic()

    @property
    def checkpoint(self) -> Path:
        """Where the checkpoint lies."""
        return self.partial / CHECKPOINT

    def restore(self) -> None:
        """Goes on from the checkpoint, where there is one and it is whole."""
        if not self.checkpoint.exists():
            return
        try:
            found = Checkpoint.read(self.checkpoint)
        except RecurraError as error:
            self.checkpoint.replace(self.checkpoint.with_suffix(".damaged"))
            self.progress.note(f"warning: {error}; it was set aside, the training starts again")
            return
        self.built.classifier.load_weights(found.weights)
        self.built.classifier.load_training_state(found.state)
        self.position, self.best = found.position, found.best
        where = f"epoch {found.position.epoch}"
        if found.position.step:
            where += f", step {found.position.step} of {self.data.steps}"
        self.progress.note(f"train: going on from the checkpoint at {where}")

    def run(self) -> str:
        """Trains to the end; says why it ended: `finished` or `early stopping`."""
        while self.position.epoch <= self.experiment.train.epochs:
            if self._out_of_patience():
                return "early stopping"
            self._epoch()
        return "finished"

    def _epoch(self) -> None:
        train, position = self.experiment.train, self.position
        self.progress.begin(
            f"epoch {position.epoch}/{train.epochs}", len(self.data.labels), "samples", position.samples
        )
        try:
            for batches in self.data.epoch(position.epoch, position.step):
                start = time.monotonic()
                records = self.built.classifier.train_steps(batches)
                self._count(records, batches.y.size, batches.y.shape[1], time.monotonic() - start)
                if time.monotonic() - self.saved > train.checkpoint_seconds:
                    self._save()
        finally:
            self.progress.end()
        self._end_epoch()

    def _count(self, records: StepRecords, samples: int, batch: int, seconds: float) -> None:
        if not np.isfinite(records.loss).all():
            self._stop_non_finite(int(np.argmin(np.isfinite(records.loss))))
        now = self.position
        self.position = replace(
            now,
            step=now.step + len(records.loss),
            loss_sum=now.loss_sum + float(records.loss.astype(np.float64).sum()) * batch,
            correct=now.correct + int(records.correct.sum()),
            samples=now.samples + samples,
            seconds=now.seconds + seconds,
        )
        done = self.position
        self.progress.advance(done.samples, loss=done.loss_sum / done.samples, accuracy=done.correct / done.samples)

    def _stop_non_finite(self, step: int) -> None:
        now = self.position
        kept = f"the last good checkpoint is {self.checkpoint}" if self.checkpoint.exists() else "no epoch was done"
        raise InputError(
            f"the loss is not a finite number at epoch {now.epoch}, step {now.step + step + 1} of {self.data.steps};"
            f" {kept}. Lower train.learning_rate ({self.experiment.train.learning_rate:g}) or set train.clip_norm: 1."
        )

    def _end_epoch(self) -> None:
        now = self.position
        measured = self.validation.measure(self.built) if self.validation else {}
        steps = np.array([now.epoch * self.data.steps - 1])
        row: dict[str, Any] = {
            "epoch": now.epoch,
            "train_loss": now.loss_sum / now.samples,
            "train_accuracy": now.correct / now.samples,
            "val_loss": measured.get("val_loss"),
            "val_accuracy": measured.get("val_accuracy"),
            "learning_rate": float(self._learning_rate(steps)),
            "seconds": now.seconds,
            "samples_per_second": now.samples / max(1e-9, now.seconds),
        }
        self.position = self._ranked(row)
        if self.position.best_epoch == now.epoch:
            self.best = self.built.classifier.weights()
        self._save()
        self._tell(row, self.position.best_epoch == now.epoch)

    def _ranked(self, row: dict[str, Any]) -> Position:
        """The position at the start of the next epoch, the one that ended compared with the best."""
        now, train = self.position, self.experiment.train
        value = -row["train_loss"] if row["val_loss"] is None else row["val_accuracy"]
        if row["val_loss"] is not None and train.monitor == "val_loss":
            value = -row["val_loss"]
        best, bar = (now.best_epoch, now.best_value), (now.bar_epoch, now.bar_value)
        margin = train.early_stopping.min_delta if train.early_stopping else 0.0
        if best[1] is None or value > best[1]:
            best = (now.epoch, value)
        if bar[1] is None or value > bar[1] + margin:
            bar = (now.epoch, value)
        return Position(now.epoch + 1, 0, 0.0, 0, 0, 0.0, *best, *bar, history=[*now.history, row])

    def _learning_rate(self, step: np.ndarray) -> np.float32:
        from recurra.optimiser import learning_rates

        return learning_rates(self.experiment.train, step, self.data.steps)[0]

    def _out_of_patience(self) -> bool:
        stopping, now = self.experiment.train.early_stopping, self.position
        return stopping is not None and now.epoch - 1 - now.bar_epoch >= stopping.patience

    def _save(self) -> None:
        classifier = self.built.classifier
        weights = classifier.weights()
        spoilt = [name for name, array in weights.items() if not np.isfinite(array).all()]
        if spoilt:
            raise InputError(
                f"weight '{spoilt[0]}' is no longer finite at epoch {self.position.epoch}; the last good checkpoint is"
                f" {self.checkpoint}. Lower train.learning_rate or set train.clip_norm: 1."
            )
        Checkpoint(self.position, weights, classifier.training_state(), self.best).write(self.checkpoint)
        self.saved = time.monotonic()

    def _tell(self, row: dict[str, Any], best: bool) -> None:
        shown = f"epoch {row['epoch']}/{self.experiment.train.epochs}  loss {row['train_loss']:.4f}"
        shown += f"  accuracy {row['train_accuracy']:.4f}"
        if row["val_loss"] is not None:
            shown += f"  val_loss {row['val_loss']:.4f}  val_accuracy {row['val_accuracy']:.4f}"
        self.progress.note(f"{shown}  {row['samples_per_second']:,.0f} samples/s{'  best' if best else ''}")
        self.observers.call("recurra_epoch_end", experiment=self.experiment, record=row)
        self.observers.tell_problems(self.progress.note)

    def finish(self, folder: Path, stopped: str) -> None:
        """Writes the artifact."""
        classifier, history = self.built.classifier, self.position.history
        write_arrays(folder / "last.safetensors", classifier.weights())
        write_arrays(folder / "best.safetensors", self.best)
        write_arrays(folder / "state.safetensors", classifier.training_state())
        write_history(folder / "history.parquet", history)
        seconds = math.fsum(row["seconds"] for row in history)
        samples = len(self.data.labels) * len(history)
        write_json(folder / "train.json", {
            "best_epoch": self.position.best_epoch,
            "epochs_done": len(history),
            "stopped": stopped,
            "parameters": self.built.parameters,
            "device": self.built.device,
            "environment": environment() | self.built.backend.describe(),
            "seconds": seconds,
            "samples_per_second": samples / max(1e-9, seconds),
            "peak_memory": peak_memory(),
        })  # fmt: skip


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """A row for each epoch, as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = [name for name in history[0] if name != "epoch"]
    schema = pa.schema([("epoch", pa.int32()), *((name, pa.float64()) for name in numbers)])
    pq.write_table(pa.Table.from_pylist(history, schema), path, write_page_checksum=True)
