"""The frame of a deployed flow: it is told in Prefect's log, named and tagged, limited, and its failure is an event."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeVar

from prefect import get_client
from prefect.context import FlowRunContext

from recurra.experiment import Experiment
from recurra.run import Run
from recurra.store import Outcome
from recurra_flows.events import tell_event
from recurra_flows.gpu_task_runner import heed_cancellation
from recurra_flows.lifeline import follow_parent
from recurra_flows.limits import Limits, tried
from recurra_flows.progress_artifacts import StagesProgress
from recurra_flows.publishing import publish_stages
from recurra_flows.recording import underway
from recurra_flows.sources import opened_once
from recurra_flows.telling import deployed_watch, failures_in_a_line, stage_told, tell
from recurra_flows.watching import watched

R = TypeVar("R")


def framed(name: str, limits: Limits, attempt: Callable[[], R], tags: tuple[str, ...] = ()) -> R:
    """What an attempt returns. `name` is what it is about: an experiment's name, or a champion's.

    `tags` are added to the flow run's, so that it is found by what was chosen in its form. Where it fails in the end,
    the event `recurra.failure` says so.
    """
    follow_parent()
    failures_in_a_line()
    heed_cancellation()
    tagged(tags, _filled_in())
    with watched(deployed_watch()):
        try:
            return tried(limits, attempt, tell)
        except Exception as error:
            tell_event("recurra.failure", name, {"error": str(error), "kind": type(error).__name__})
            raise


@contextmanager
def shown(of: Run, roles: Iterable[str] = ()) -> Iterator[None]:
    """Within the block a flow runs for that record: it is told, and its workers' output is kept beside it. Afterwards
    its stages are published, however it ended.

    `roles`: of a record of several experiments all its stages, as far as they are known.
    """
    several = of.NOUN != "run"
    roles = tuple(roles if several else of.roles)
    progress = StagesProgress(of.experiment, of.NOUN, roles, several, tell)

    datasets = set[str]()

    def stage_done(role: str, outcome: Outcome) -> None:
        progress.stage_done(role)
        made = outcome.artifact
        if made.stage != "preprocess" or made.key not in datasets:  # several experiments can have the same data
            stage_told(role, outcome)
            datasets.add(made.key)

    seen = replace(deployed_watch(of.folder, several), stage_done=stage_done)
    try:
        with underway(of, seen), opened_once(), progress:
            tell(f"{of.NOUN} {of.id}")
            yield
    finally:
        publish_stages(of, roles)


def tagged(tags: Iterable[str], instead_of: Iterable[str] = ()) -> None:
    """Adds tags to the flow run that is here, and takes others away. Where that fails, the run is none the worse."""
    context = FlowRunContext.get()
    flow_run: Any = context.flow_run if context else None
    if flow_run is None:
        return
    wanted = sorted({*flow_run.tags} - {*instead_of} | {*tags})
    if wanted == sorted(flow_run.tags):
        return
    try:
        with get_client(sync_client=True) as client:
            client.update_flow_run(flow_run.id, tags=wanted)
        flow_run.tags = wanted
    except Exception as error:
        tell(f"warning: the flow run could not be tagged: {error}")


def tags_of(experiment: Experiment) -> tuple[str, ...]:
    """The tags of a flow run of the experiment."""
    return experiment.name, experiment.backend, experiment.model.kind


def _filled_in() -> set[str]:
    """The tags of the experiment that the deployment's form is filled in with; a run of it can have another."""
    context = FlowRunContext.get()
    flow_run: Any = context.flow_run if context else None
    if flow_run is None or flow_run.deployment_id is None:
        return set()
    with suppress(Exception), get_client(sync_client=True) as client:  # the run is none the worse
        experiment = client.read_deployment(flow_run.deployment_id).parameters["experiment"]
        return {experiment["name"], experiment["backend"], experiment["model"]["kind"]}
    return set()
