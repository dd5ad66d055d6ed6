"""Keeps a run's record true while it runs, so that a run that dies has one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from recurra.durable import read_json
from recurra.errors import RecurraError
from recurra.progress import Progress
from recurra.registry import Extension, extensions
from recurra.run import Run
from recurra.store import Artifact
from recurra_flows.references import ArtifactRef
from recurra_flows.watching import watch

Record = Callable[[ArtifactRef], ArtifactRef]


@contextmanager
def recorded(run: Run) -> Iterator[Record]:
    """A function to hand each stage's reference to. The run is `done` after the block, or `failed` or `stopped`.

    An InputError where another process has the run.
    """
    observers = extensions()

    def record(ref: ArtifactRef) -> ArtifactRef:
        outcome = ref.outcome()
        run.stage_done(outcome)
        _tell(observers, run, outcome.artifact, watch().progress)
        watch().stage_done(outcome)
        return ref

    with run.held():
        try:
            yield record
            results = _results(run)
        except BaseException as error:
            _failed(run, error)
            raise
        run.finish("done", error=None, **results)


@contextmanager
def ended(run: Run) -> Iterator[None]:
    """Holds the run; after the block its record does not say `running`, whatever failed before or after `recorded`."""
    with run.held():
        try:
            yield
        except BaseException as error:
            with suppress(RecurraError, OSError):  # the failure that is raised matters more
                left = Run.open(run.home, str(run.folder))
                if left.record["status"] == "running":
                    _failed(left, error)
            raise


def _failed(run: Run, error: BaseException) -> None:
    if isinstance(error, Exception):
        run.finish("failed", error=str(error))
    else:
        run.finish("stopped", error="stopped by the user or the system")


def _tell(observers: Extension, run: Run, artifact: Artifact, progress: Progress) -> None:
    observers.call("recurra_stage_end", run=run, stage=artifact.stage, artifact=artifact)
    observers.tell_problems(progress.note)  # of observers that fail, and of plugins that could not be loaded


def _results(run: Run) -> dict[str, Any]:
    evaluation, report = run.record["stages"]["evaluate"], run.record["stages"]["report"]
    store = run.home.store
    measured = read_json(store.place("evaluate", evaluation["key"]) / "metrics.json")
    headline = {**measured["headline"], "samples": measured["samples"]}
    return {"metrics": headline, "report": str(store.place("report", report["key"]) / "report.html")}
