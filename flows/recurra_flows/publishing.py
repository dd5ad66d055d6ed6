"""What the Prefect dashboard shows of a run: its metrics, its report's summary, and how far its training is."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from contextvars import copy_context
from types import TracebackType
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from recurra.durable import read_json
from recurra.experiment import Experiment
from recurra.progress import Progress
from recurra_flows.references import ArtifactRef

EVERY = 2.0
"""Seconds between two updates of a progress artifact."""
TABLES = {"accuracy": "Accuracies", "trials": "Trials"}
"""What the table of a conclusion is of -> its title."""


def artifact_key(experiment: Experiment, what: str) -> str:
    """The artifact's key, under which Prefect keeps its versions: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", f"{experiment.name} {experiment.backend} {what}".lower()).strip("-")


def publish(experiment: Experiment, evaluation: ArtifactRef, report: ArtifactRef) -> None:
    """The metrics and the report as artifacts of the flow run. Where that fails, the run is none the worse."""
    try:
        publish_metrics(experiment, evaluation)
        publish_report(experiment, report)
    except Exception:
        get_run_logger().warning("The metrics and the report could not be published as artifacts", exc_info=True)


def publish_metrics(experiment: Experiment, evaluation: ArtifactRef) -> None:
    """The metrics as a table artifact."""
    from recurra.report import metrics_table

    measured = read_json(evaluation.artifact().file("metrics.json"))
    create_table_artifact(
        metrics_table(measured), artifact_key(experiment, "metrics"), f"Test metrics of {experiment.name}"
    )


def publish_report(experiment: Experiment, report: ArtifactRef, what: str = "report") -> None:
    """The report's summary and plots as a markdown artifact; `what` names it."""
    made = report.artifact()
    create_markdown_artifact(
        f"{made.file('summary.md').read_text(encoding='utf-8')}\n\nThe whole report: `{made.file('report.html')}`\n",
        artifact_key(experiment, what),
        f"{what.capitalize()} of {experiment.name}",
    )


def publish_conclusion(
    experiment: Experiment, conclusion: ArtifactRef, table: str, rows: Callable[[Any], list[dict[str, Any]]]
) -> None:
    """What several experiments come to, as artifacts of the flow run: the summary, and a table of `rows`, which are
    made from the findings' JSON. Where that fails, the work is none the worse.
    """
    noun = conclusion.stage
    try:
        found = read_json(conclusion.artifact().file(f"{noun}.json"))
        key = artifact_key(experiment, f"{noun}-{table}")
        create_table_artifact(rows(found), key, f"{TABLES[table]} of {experiment.name}")
        publish_report(experiment, conclusion, noun)
    except Exception:
        get_run_logger().warning(f"The {noun} could not be published as artifacts", exc_info=True)


class TrainingProgress:
    """Shows a training's progress where `shown` does, and as a progress artifact.

    The artifact is updated from a thread of its own, so that a slow server never holds up the training.
    """

    def __init__(self, experiment: Experiment, role: str, shown: Progress) -> None:
        self.experiment, self.role, self.shown = experiment, role, shown
        self.epochs, self.epoch, self.total = experiment.train.epochs, 0, 0
        self.percent, self._over = 0.0, threading.Event()
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._publish,), name="progress artifact", daemon=True
        )

    def __enter__(self) -> TrainingProgress:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.percent = 100.0
        self._over.set()
        self._thread.join(EVERY)

    def _publish(self) -> None:
        try:
            key = artifact_key(self.experiment, "training" if self.role == "train" else f"training {self.role}")
            artifact, sent = create_progress_artifact(0.0, key, f"Training of {self.experiment.name}"), 0.0
            while True:
                over = self._over.wait(EVERY)
                if self.percent != sent:
                    sent = self.percent
                    update_progress_artifact(artifact, sent)  # pyright: ignore[reportArgumentType] - called outside a loop, it is a UUID
                if over:
                    return
        except Exception as error:
            self.shown.note(f"Prefect is not told the training's progress any more: {type(error).__name__}")

    def begin(self, task: str, total: int | None, unit: str, done: int = 0) -> None:
        """An epoch starts, or another task."""
        epoch = re.search(r"(\d+)/\d+$", task)
        self.epoch, self.total = (int(epoch[1]), total or 0) if epoch else (0, 0)
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
