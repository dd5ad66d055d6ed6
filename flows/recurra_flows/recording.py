"""Keeps a run's record true while it runs, so that a run that dies has one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from recurra.durable import read_json
from recurra.progress import Progress
from recurra.registry import extensions
from recurra.run import Run
from recurra.store import Artifact
from recurra_flows.references import ArtifactRef
from recurra_flows.watching import watch

Record = Callable[[ArtifactRef], ArtifactRef]


@contextmanager
def recorded(run: Run) -> Iterator[Record]:
    """A function to hand each stage's reference to. The run is `done` after the block, or `failed` or `stopped`."""
    hook = extensions().hook

    def record(ref: ArtifactRef) -> ArtifactRef:
        outcome = ref.outcome()
        run.stage_done(outcome)
        _tell(hook, run, outcome.artifact, watch().progress)
        watch().stage_done(outcome)
        return ref

    try:
        yield record
    except Exception as error:
        run.finish("failed", error=str(error))
        raise
    except BaseException:
        run.finish("stopped", error="stopped by the user or the system")
        raise
    run.finish("done", error=None, **_results(run))


def _tell(hook: Any, run: Run, artifact: Artifact, progress: Progress) -> None:
    try:
        hook.recurra_stage_end(run=run, stage=artifact.stage, artifact=artifact)
    except Exception as error:
        # An observer looks on; its failure is not the run's.
        progress.note(f"a plugin's recurra_stage_end failed: {type(error).__name__}: {error}")


def _results(run: Run) -> dict[str, Any]:
    evaluation, report = run.record["stages"]["evaluate"], run.record["stages"]["report"]
    store = run.home.store
    measured = read_json(store.place("evaluate", evaluation["key"]) / "metrics.json")
    headline = {**measured["headline"], "samples": measured["samples"]}
    return {"metrics": headline, "report": str(store.place("report", report["key"]) / "report.html")}
