"""The stages of `recurra.stages` as Prefect tasks.

Each is cached across runs by what its artifact is made from, and tried again where that can help. Tasks hand on
references; the data stays in the artifact store. What needs a framework runs in a worker process, with the devices that
its tags ask for: `on_devices(train, experiment).submit(...)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task

from recurra import stages
from recurra.errors import RecurraError
from recurra.experiment import Experiment
from recurra.progress import Progress
from recurra.store import Outcome, Store
from recurra_flows.caching import ArtifactSerializer, StageKey
from recurra_flows.leased import asked, starts_its_worker, within
from recurra_flows.progress_artifacts import TrainingProgress
from recurra_flows.references import ArtifactRef
from recurra_flows.sources import opened
from recurra_flows.watching import watch
from recurra_flows.workers import WorkerLostError, run_worker

P = ParamSpec("P")
R = TypeVar("R")

__all__ = [
    "asked",
    "augment",
    "challenge",
    "evaluate",
    "generate",
    "judge",
    "on_devices",
    "preprocess",
    "probe",
    "report",
    "train",
]


def _may_help(task: Any, run: Any, state: Any) -> bool:
    """Whether trying again can help: a worker was killed, a disk or a network failed. Wrong input stays wrong."""
    del task, run
    error = state.result(raise_on_failure=False)
    return isinstance(error, WorkerLostError) or (isinstance(error, OSError) and not isinstance(error, RecurraError))


def cached(stage: str, made_from: Callable[..., Mapping[str, Any]]) -> dict[str, Any]:
    """The settings of a task that makes an artifact of that stage, found again by what it is made from."""
    return {
        "cache_policy": StageKey(stage=stage, made_from=made_from),
        "persist_result": True,
        "result_serializer": ArtifactSerializer(),
        "retry_condition_fn": _may_help,
    }


def _dataset_inputs(experiment: Experiment, store: Path) -> Mapping[str, Any]:
    return stages.preprocess_inputs(experiment, opened(experiment, store.parent))


@task(
    name="preprocess",
    task_run_name="preprocess",
    retries=2,
    retry_delay_seconds=2,
    **cached("preprocess", _dataset_inputs),
)
def preprocess(experiment: Experiment, store: Path) -> ArtifactRef:
    """The dataset."""
    source = opened(experiment, store.parent)
    return ArtifactRef.of(store, stages.preprocess(experiment, Store(store), watch().progress, source))


@task(name="train", task_run_name="{role}", retries=1, **cached("train", stages.train_inputs))
@starts_its_worker
def train(
    experiment: Experiment, dataset: ArtifactRef, judge: ArtifactRef | None = None, role: str = "train"
) -> ArtifactRef:
    """The trained network; `judge` measures a GAN's samples. Tried again, it goes on from its last checkpoint."""
    refs = {"dataset": dataset} if judge is None else {"dataset": dataset, "judge": judge}
    with TrainingProgress(experiment, role, watch().part(role)) as progress:
        return _in_worker("train", role, experiment, refs, progress)


@task(name="evaluate", task_run_name="{role}", retries=1, **cached("evaluate", stages.evaluate_inputs))
@starts_its_worker
def evaluate(
    experiment: Experiment, dataset: ArtifactRef, training: ArtifactRef, role: str = "evaluate"
) -> ArtifactRef:
    """Predictions and metrics of the test split."""
    return _in_worker("evaluate", role, experiment, {"dataset": dataset, "training": training}, watch().part(role))


@task(name="probe", task_run_name="{role}", retries=1, **cached("probe", stages.probe_inputs))
@starts_its_worker
def probe(experiment: Experiment, dataset: ArtifactRef, training: ArtifactRef, role: str = "probe") -> ArtifactRef:
    """What the experiment's backend answers with weights that any backend has trained."""
    return _in_worker("probe", role, experiment, {"dataset": dataset, "training": training}, watch().part(role))


@task(name="challenge", task_run_name="challenge", retries=1, **cached("challenge", stages.challenge_inputs))
@starts_its_worker
def challenge(experiment: Experiment, champion: Experiment, artifacts: Mapping[str, ArtifactRef]) -> ArtifactRef:
    """A champion's answers beside the new network's. `champion` is its experiment; `artifacts` as in
    `recurra.stages.challenge_inputs`.
    """
    challenger = experiment.model_dump(mode="json")
    return _in_worker("challenge", "challenge", champion, artifacts, watch().part("challenge"), challenger=challenger)


@task(name="generate", task_run_name="{role}", retries=1, **cached("generate", stages.generate_inputs))
@starts_its_worker
def generate(
    experiment: Experiment,
    dataset: ArtifactRef,
    training: ArtifactRef,
    share: float | None = None,
    role: str = "generate",
) -> ArtifactRef:
    """A dataset of generated samples: to judge the GAN, or `share` for each real one."""
    refs = {"dataset": dataset, "training": training}
    return _in_worker("generate", role, experiment, refs, watch().part(role), share=share)


@task(name="augment", task_run_name="augment", retries=1, **cached("augment", stages.augment_inputs))
def augment(dataset: ArtifactRef, generated: ArtifactRef) -> ArtifactRef:
    """The dataset with generated training samples beside its own."""
    store = Store(dataset.store)
    return ArtifactRef.of(
        dataset.store, stages.augment(store, dataset.artifact(), generated.artifact(), watch().progress)
    )


@task(name="judge", task_run_name="evaluate", retries=1, **cached("judgement", stages.judge_inputs))
@starts_its_worker
def judge(experiment: Experiment, artifacts: Mapping[str, ArtifactRef]) -> ArtifactRef:
    """What a GAN's samples are worth. `artifacts` by role: preprocess, recogniser, train, generate, student."""
    return _in_worker("judge", "evaluate", experiment, artifacts, watch().part("evaluate"))


@task(name="report", task_run_name="report", retries=0, **cached("report", stages.report_inputs))
def report(experiment: Experiment, artifacts: Mapping[str, ArtifactRef], gan: Experiment | None = None) -> ArtifactRef:
    """The HTML report. `artifacts`: those of all stages before it, by role; `gan`: what `data.augment.gan` names."""
    store = next(iter(artifacts.values())).store
    made = {role: ref.artifact() for role, ref in artifacts.items()}
    return ArtifactRef.of(store, stages.report(experiment, Store(store), made, gan, watch().progress))


def on_devices(stage: Task[P, R], experiment: Experiment, devices: int | None = None) -> Task[P, R]:
    """The stage as a task that asks for the devices of the experiment: so many, or `train.devices`."""
    return stage.with_options(tags=asked(experiment, devices))


def _in_worker(
    body: str, role: str, experiment: Experiment, refs: Mapping[str, ArtifactRef], progress: Progress, **more: Any
) -> ArtifactRef:
    store = next(iter(refs.values())).store
    request = {
        "experiment": within(experiment).model_dump(mode="json"),
        "store": str(store),
        "artifacts": {name: [ref.stage, ref.key] for name, ref in refs.items()},
        **more,
    }
    made = run_worker(body, request, progress, watch().log(role))
    artifact = Store(store).peek(made["stage"], made["key"])
    if artifact is None:
        raise RecurraError(f"{role}: its artifact {made['key']} is not in the store")
    return ArtifactRef.of(store, Outcome(artifact, made["hit"], made["why"], made["seconds"]))
