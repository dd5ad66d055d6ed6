"""Core's loop over epochs, around what a backend does inside them: the same for recognisers and GANs.

Keeps a checkpoint in `partial` at the end of every epoch (and within long ones) and goes on from it when called again
with the same experiment; the result is the same bytes as of a training that was never interrupted.
"""

from __future__ import annotations

import math
import platform
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from recurra.batches import first_step
from recurra.checkpoint import Checkpoint, Position, write_arrays
from recurra.contract import Backend, MeasuringBackend, Weights
from recurra.devices.power import Meter
from recurra.durable import write_json
from recurra.environment import environment, peak_memory
from recurra.errors import DeviceMemoryError, InputError, RecurraError
from recurra.experiment import Experiment
from recurra.extensions import extensions
from recurra.progress import Progress

CHECKPOINT = "checkpoint.safetensors"
Row = dict[str, Any]
Sums = Mapping[str, np.ndarray]


class StepMemoryError(DeviceMemoryError):
    """The device's memory does not hold a step of this training."""


class Trainable(Protocol):
    """What every network of a backend has: weights, and the rest that its next step depends on."""

    def weights(self) -> Weights:
        """A copy."""
        ...

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Takes them over."""
        ...

    def training_state(self) -> dict[str, np.ndarray]:
        """A copy."""
        ...

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes it over."""
        ...


class BuiltNetwork(Protocol):
    """A network on its device."""

    @property
    def network(self) -> Trainable:
        """The network."""
        ...

    @property
    def backend(self) -> Backend:
        """Its backend."""
        ...

    @property
    def device(self) -> str:
        """Where it is, in words."""
        ...

    @property
    def devices(self) -> tuple[str, ...]:
        """Where it is: `cpu`, `gpu:N`."""
        ...

    @property
    def parameters(self) -> int:
        """Number of weights."""
        ...


@dataclass
class Training(ABC):
    """A training under way. What it learns, and by what it is measured, is a subclass's."""

    experiment: Experiment
    built: BuiltNetwork
    partial: Path
    progress: Progress
    samples: int
    """Of one epoch."""
    steps: int
    """Of one epoch."""
    position: Position = field(default_factory=Position, init=False)
    best: Weights = field(default_factory=dict, init=False)
    inexact: bool = field(default=False, init=False)
    """Whether it went on from a checkpoint on a backend that does not claim to do so exactly."""

    def __post_init__(self) -> None:
        self.partial.mkdir(parents=True, exist_ok=True)
        for left in self.partial.glob("*.tmp"):  # of a training that was killed while it wrote
            left.unlink()
        self.observers = extensions()
        self.meter = Meter(self.built.devices)
        self.saved = time.monotonic()

    @abstractmethod
    def batches(self, epoch: int, first: int) -> Iterator[Any]:
        """What is handed to the network, of an epoch (from 1) from its step `first` (from 0) on."""

    @abstractmethod
    def learn(self, batches: Any) -> tuple[int, Sums]:
        """Trains: the samples that were seen, and sums over the samples of each step [S], float64."""

    @abstractmethod
    def measured(self, epoch: int, means: Mapping[str, float]) -> Row:
        """The epoch's row of the history but for its number and its times; None for what was not measured."""

    @abstractmethod
    def value(self, row: Row) -> float | None:
        """What makes an epoch the best, its sign such that higher is better; None where it was not measured."""

    @property
    @abstractmethod
    def monitored(self) -> str:
        """The name of what `value` tells."""

    @abstractmethod
    def words(self, row: Row) -> str:
        """The row for a person, in one line."""

    def warnings(self) -> list[str]:
        """What began to look wrong with the last row of the history, a line each."""
        return []

    def shown(self, means: Mapping[str, float]) -> Mapping[str, float]:
        """What is shown while an epoch runs."""
        return means

    @property
    def advice(self) -> str:
        """What to change where numbers stop being finite."""
        rate = self.experiment.train.learning_rate
        return f"Lower train.learning_rate ({rate:g}) or set train.clip_norm: 1."

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
            set_aside(self.checkpoint, str(error), self.progress)
            return
        self.built.network.load_weights(found.weights)
        self.built.network.load_training_state(found.state)
        self.position, self.best = found.position, found.best
        where = f"epoch {found.position.epoch}"
        if found.position.step:
            where += f", step {found.position.step} of {self.steps}"
        self.progress.note(f"train: going on from the checkpoint at {where}")
        self.inexact = "exact-resume" not in self.built.backend.capabilities
        if self.inexact:
            name = self.built.backend.name
            self.progress.note(
                f"warning: backend '{name}' does not claim exact-resume: what follows may differ from what an"
                " undisturbed training would do"
            )

    def try_step(self) -> None:
        """Trains on the first batch, and keeps nothing of it but what is in the network.

        Twice: the first step leaves the memory in pieces, of which the second one has to make do.
        """
        batch = first_step(next(self.batches(1, 0)))
        for _ in range(2):
            self._learn(batch)

    def run(self) -> str:
        """Trains to the end; says why it ended: `finished` or `early stopping`."""
        while self.position.epoch <= self.experiment.train.epochs:
            if self._out_of_patience():
                return "early stopping"
            self._epoch()
        return "finished"

    def _epoch(self) -> None:
        train, position = self.experiment.train, self.position
        self.progress.begin(f"epoch {position.epoch}/{train.epochs}", self.samples, "samples", position.samples)
        try:
            for batches in self.batches(position.epoch, position.step):
                start = time.monotonic()
                seen, sums = self._learn(batches)
                self._count(seen, sums, time.monotonic() - start)
                if time.monotonic() - self.saved > train.checkpoint_seconds:
                    self._save()
        finally:
            self.progress.end()
        self._end_epoch()

    def _learn(self, batches: Any) -> tuple[int, Sums]:
        # Told apart from memory that is full while something is measured: a smaller batch would not help there.
        try:
            return self.learn(batches)
        except DeviceMemoryError as error:
            raise StepMemoryError(str(error)) from error

    def _count(self, seen: int, sums: Sums, seconds: float) -> None:
        steps = len(next(iter(sums.values())))
        finite = np.all([np.isfinite(values) for values in sums.values()], axis=0)
        if not finite.all():
            self._stop_non_finite(int(np.argmin(finite)))
        now = self.position
        self.position = replace(
            now,
            step=now.step + steps,
            sums={name: now.sums.get(name, 0.0) + float(values.sum()) for name, values in sums.items()},
            samples=now.samples + seen,
            seconds=now.seconds + seconds,
        )
        self.progress.advance(self.position.samples, **self.shown(self._means()))

    def _means(self) -> dict[str, float]:
        return {name: total / self.position.samples for name, total in self.position.sums.items()}

    def _stop_non_finite(self, step: int) -> None:
        now = self.position
        kept = f"the last good checkpoint is {self.checkpoint}" if self.checkpoint.exists() else "no epoch was done"
        raise InputError(
            f"the loss is not a finite number at epoch {now.epoch}, step {now.step + step + 1} of {self.steps};"
            f" {kept}. {self.advice}"
        )

    def _end_epoch(self) -> None:
        now = self.position
        row: Row = {
            "epoch": now.epoch,
            **self.measured(now.epoch, self._means()),
            "seconds": now.seconds,
            "samples_per_second": now.samples / max(1e-9, now.seconds),
        }
        self.position = self._ranked(row)
        if self.position.best_epoch == now.epoch:
            self.best = self.built.network.weights()
        self._save()
        self._tell(row, self.position.best_epoch == now.epoch)

    def _ranked(self, row: Row) -> Position:
        """The position at the start of the next epoch, the one that ended compared with the best."""
        now, value = self.position, self.value(row)
        if value is not None and not math.isfinite(value):
            value = None  # nothing would ever be better than NaN
        best, bar = (now.best_epoch, now.best_value), (now.bar_epoch, now.bar_value)
        stopping = self.experiment.train.early_stopping
        margin = stopping.min_delta if stopping else 0.0
        if value is not None and (best[1] is None or value > best[1]):
            best = (now.epoch, value)
        if value is not None and (bar[1] is None or value > bar[1] + margin):
            bar = (now.epoch, value)
        return Position(now.epoch + 1, 0, {}, 0, 0.0, *best, *bar, [*now.history, row], now.joules)

    def _out_of_patience(self) -> bool:
        stopping, now = self.experiment.train.early_stopping, self.position
        if stopping is None:
            return False
        later = (row for row in now.history if row["epoch"] > now.bar_epoch)
        return sum(self.value(row) is not None for row in later) >= stopping.patience

    def _save(self) -> None:
        network, before, used = self.built.network, self.position.joules, self.meter.used()
        self.position = replace(self.position, joules=None if before is None or used is None else before + used)
        weights = network.weights()
        spoilt = [name for name, array in weights.items() if not np.isfinite(array).all()]
        if spoilt:
            raise InputError(
                f"weight '{spoilt[0]}' is no longer finite at epoch {self.position.epoch}; the last good checkpoint is"
                f" {self.checkpoint}. {self.advice}"
            )
        Checkpoint(self.position, weights, network.training_state(), self.best).write(self.checkpoint)
        self.saved = time.monotonic()

    def _tell(self, row: Row, best: bool) -> None:
        shown = f"epoch {row['epoch']}/{self.experiment.train.epochs}  {self.words(row)}"
        self.progress.note(f"{shown}  {row['samples_per_second']:,.0f} samples/s{'  best' if best else ''}")
        for line in self.warnings():
            self.progress.note(f"warning: {line}")
        self.progress.measured(row, self.value(row))
        self.observers.tell("recurra_epoch_end", experiment=self.experiment, record=row)
        self.observers.tell_problems(self.progress.note)

    def finish(self, folder: Path, stopped: str) -> None:
        """Writes the artifact; an InputError where no epoch is the best."""
        if not self.best:
            raise InputError(f"{self.monitored} was a finite number after no epoch, so none is the best. {self.advice}")
        network, history = self.built.network, self.position.history
        write_arrays(folder / "last.safetensors", network.weights())
        write_arrays(folder / "best.safetensors", self.best)
        write_arrays(folder / "state.safetensors", network.training_state())
        write_history(folder / "history.parquet", history)
        seconds = math.fsum(row["seconds"] for row in history)
        write_json(folder / "train.json", {
            "best_epoch": self.position.best_epoch,
            "epochs_done": len(history),
            "stopped": stopped,
            "batch_size": self.experiment.train.samples_per_step,
            "parameters": self.built.parameters,
            "device": self.built.device,
            "machine": platform.node(),
            "environment": environment() | self.built.backend.describe(),
            "seconds": seconds,
            "samples_per_second": self.samples * len(history) / max(1e-9, seconds),
            "peak_memory": peak_memory(),
            **({"inexact_resume": True} if self.inexact else {}),
            **self._of_devices(),
            **self.further(),
        })  # fmt: skip

    def _of_devices(self) -> dict[str, float]:
        """What is known of GPUs: the energy of all, and of the one that took most memory how much."""
        found: dict[str, float] = {}
        if self.position.joules is not None:
            found["energy_joules"] = self.position.joules
        backend = self.built.backend
        if isinstance(backend, MeasuringBackend):
            peaks = [backend.peak_memory(device) for device in dict.fromkeys(self.built.devices)]
            if known := [peak for peak in peaks if peak is not None]:
                found["peak_device_memory"] = max(known)
        return found

    def further(self) -> dict[str, Any]:
        """What else train.json holds."""
        return {}


def set_aside(checkpoint: Path, why: str, progress: Progress) -> None:
    """Keeps a checkpoint that cannot be gone on from under another name, and says so."""
    checkpoint.replace(checkpoint.with_suffix(".damaged"))
    progress.note(f"warning: {why}; the checkpoint was set aside, the training starts again")


def write_history(path: Path, history: list[Row]) -> None:
    """A row for each epoch, as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = [name for name in history[0] if name != "epoch"]
    schema = pa.schema([("epoch", pa.int32()), *((name, pa.float64()) for name in numbers)])
    pq.write_table(pa.Table.from_pylist(history, schema), path, write_page_checksum=True)
