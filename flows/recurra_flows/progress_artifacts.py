"""How far a training and its run are, as progress artifacts of the dashboard."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from contextvars import copy_context
from types import TracebackType

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from recurra.experiment import Experiment
from recurra.progress import Progress
from recurra_flows.publishing import artifact_key

EVERY = 2.0
"""Seconds between two updates of a progress artifact."""


class ProgressArtifact:
    """A progress artifact that is updated from a thread of its own, so that a slow server never holds up the work.

    `state` says how far it is: percent, and a line. `lost` is told once where Prefect cannot be.
    """

    def __init__(self, key: str, state: Callable[[], tuple[float, str]], lost: Callable[[str], None]) -> None:
        self.key, self.state, self.lost, self._over = key, state, lost, threading.Event()
        # A copy of the context here: it names the run that the artifact is of.
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._publish,), name="progress artifact", daemon=True
        )

    def __enter__(self) -> ProgressArtifact:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(EVERY)

    def _publish(self) -> None:
        try:
            sent = self.state()
            artifact = create_progress_artifact(sent[0], self.key, sent[1])
            while True:
                over = self._over.wait(EVERY)
                if (now := self.state()) != sent:
                    sent = now
                    update_progress_artifact(artifact, *sent)  # pyright: ignore[reportArgumentType] - called outside a loop, it is a UUID
                if over:
                    return
        except Exception as error:
            self.lost(f"Prefect is not told the progress any more: {type(error).__name__}")


class TrainingProgress:
    """Shows a training's progress where `shown` does, and as a progress artifact."""

    def __init__(self, experiment: Experiment, role: str, shown: Progress) -> None:
        self.experiment, self.shown = experiment, shown
        self.epochs, self.epoch, self.total, self.percent = experiment.train.epochs, 0, 0, 0.0
        key = artifact_key(experiment, "training" if role == "train" else f"training {role}")
        self._artifact = ProgressArtifact(key, self._state, shown.note)

    def __enter__(self) -> TrainingProgress:
        self._artifact.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.percent = 100.0
        self._artifact.__exit__(kind, error, trace)

    def _state(self) -> tuple[float, str]:
        at = f", epoch {self.epoch} of {self.epochs}" if self.epoch else ""
        return self.percent, f"Training of {self.experiment.name}{at}"

    def begin(self, task: str, total: int | None, unit: str, done: int = 0) -> None:
        """An epoch starts, or another task."""
        epoch = re.search(r"(\d+)/\d+$", task)
        self.epoch, self.total = (int(epoch[1]), total or 0) if epoch else (self.epoch, 0)
        self.shown.begin(task, total, unit, done)
        self._moved(done)

    def advance(self, done: int, **values: float) -> None:
        """Passed on."""
        self._moved(done)
        self.shown.advance(done, **values)

    def _moved(self, done: int) -> None:
        if self.total:
            self.percent = round(100.0 * (self.epoch - 1 + done / self.total) / self.epochs, 1)

    def end(self) -> None:
        """Passed on."""
        self.shown.end()

    def note(self, line: str) -> None:
        """Passed on."""
        self.shown.note(line)

    def measured(self, row: Mapping[str, float | None], value: float | None) -> None:
        """Passed on."""
        self.shown.measured(row, value)


class StagesProgress:
    """How many of a run's stages have ended, as a progress artifact that says which is next.

    `roles`: all of them, in order; of several experiments side by side they are only counted.
    """

    def __init__(
        self, experiment: Experiment, noun: str, roles: Iterable[str], several: bool, lost: Callable[[str], None]
    ) -> None:
        self.name, self.roles, self.several, self.done = experiment.name, tuple(roles), several, dict[str, None]()
        key = artifact_key(experiment, "progress" if noun == "run" else f"{noun} progress")
        self._artifact = ProgressArtifact(key, self._state, lost)

    def __enter__(self) -> StagesProgress:
        self._artifact.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.done = dict.fromkeys((*self.done, *self.roles))
        self._artifact.__exit__(kind, error, trace)

    def stage_done(self, role: str) -> None:
        """One more has ended."""
        self.done[role] = None

    def _state(self) -> tuple[float, str]:
        done, total = len(self.done), max(len(self.roles), len(self.done))
        left = next((role for role in self.roles if role not in self.done), None)
        now = f", now {left}" if left and not self.several else ""
        return round(100.0 * done / max(1, total), 1), f"{self.name}: {done} of {total} stages done{now}"
