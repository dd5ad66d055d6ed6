"""The flow: one experiment becomes a dataset, a trained network, its metrics and a report.

Start reading here. Each task is a stage of `recurra.stages` under Prefect: cached across runs by what its artifact is
made from, tried again where that can help. Tasks hand on references; the data stays in the artifact store.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, tags, task

from recurra import stages
from recurra.errors import RecurraError
from recurra.experiment import Experiment
from recurra.home import Home
from recurra.run import Run
from recurra.store import Outcome, Store
from recurra_flows.caching import ArtifactSerializer, StageKey, verified_once
from recurra_flows.publishing import TrainingProgress, publish_metrics, publish_report
from recurra_flows.recording import recorded
from recurra_flows.references import ArtifactRef
from recurra_flows.watching import watch
from recurra_flows.workers import WorkerLostError, run_worker


@flow(name="recognition", flow_run_name="{experiment.name}/{experiment.backend}", persist_result=False)
def recognition(experiment: Experiment, home: Path, run: str | None = None) -> str:
    """Runs an experiment, or goes on with the run of that id. Returns the run's folder."""
    of = Run.open(Home(home), run) if run else Run.create(Home(home), experiment)
    with recorded(of) as record, verified_once(), tags(experiment.backend, experiment.model.kind):
        dataset = record(preprocess(experiment, of.home.store.root))
        training = record(train(experiment, dataset))
        evaluation = record(evaluate(experiment, dataset, training))
        document = record(report(experiment, dataset, training, evaluation))
    publish(experiment, evaluation, document)
    return str(of.folder)


def _may_help(task: Any, run: Any, state: Any) -> bool:
    """Whether trying again can help: a worker was killed, a disk or a network failed. Wrong input stays wrong."""
    del task, run
    error = state.result(raise_on_failure=False)
    return isinstance(error, WorkerLostError) or (isinstance(error, OSError) and not isinstance(error, RecurraError))


_CACHED: dict[str, Any] = {
    "cache_policy": StageKey(),
    "persist_result": True,
    "result_serializer": ArtifactSerializer(),
    "retry_condition_fn": _may_help,
}


@task(name="preprocess", retries=2, retry_delay_seconds=2, **_CACHED)
def preprocess(experiment: Experiment, store: Path) -> ArtifactRef:
    """The dataset."""
    return ArtifactRef.of(store, stages.preprocess(experiment, Store(store), watch().progress))


@task(name="train", retries=1, **_CACHED)
def train(experiment: Experiment, dataset: ArtifactRef) -> ArtifactRef:
    """The trained network. Tried again, it goes on from its last checkpoint."""
    with TrainingProgress(experiment, watch().progress) as progress:
        return _in_worker("train", experiment, (dataset,), progress)


@task(name="evaluate", retries=1, **_CACHED)
def evaluate(experiment: Experiment, dataset: ArtifactRef, training: ArtifactRef) -> ArtifactRef:
    """Predictions and metrics of the test split."""
    return _in_worker("evaluate", experiment, (dataset, training), watch().progress)


@task(name="report", retries=0, **_CACHED)
def report(experiment: Experiment, dataset: ArtifactRef, training: ArtifactRef, evaluation: ArtifactRef) -> ArtifactRef:
    """The HTML report."""
    artifacts = {ref.stage: ref.artifact() for ref in (dataset, training, evaluation)}
    return ArtifactRef.of(dataset.store, stages.report(experiment, Store(dataset.store), artifacts))


def _in_worker(stage: str, experiment: Experiment, refs: tuple[ArtifactRef, ...], progress: Any) -> ArtifactRef:
    store = refs[0].store
    request = {
        "experiment": experiment.model_dump(mode="json"),
        "store": str(store),
        "keys": {ref.stage: ref.key for ref in refs},
    }
    made = run_worker(stage, request, progress, watch().log(stage))
    artifact = Store(store).peek(stage, made["key"])
    if artifact is None:
        raise RecurraError(f"{stage}: its artifact {made['key']} is not in the store")
    return ArtifactRef.of(store, Outcome(artifact, made["hit"], made["why"], made["seconds"]))


def publish(experiment: Experiment, evaluation: ArtifactRef, report: ArtifactRef) -> None:
    """The metrics and the report as artifacts of the flow run. Where that fails, the run is none the worse."""
    try:
        publish_metrics(experiment, evaluation)
        publish_report(experiment, report)
    except Exception:
        get_run_logger().warning("The metrics and the report could not be published as artifacts", exc_info=True)
