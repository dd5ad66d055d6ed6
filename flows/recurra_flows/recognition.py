"""The flow of a recogniser: one experiment becomes a dataset, a trained network, its metrics and a report.

Start reading here. Each task (`recurra_flows.tasks`) is a stage of `recurra.stages` under Prefect; `generation` is the
flow of a GAN.
"""

from __future__ import annotations

from pathlib import Path

from prefect import flow, tags

from recurra.experiment import Experiment
from recurra.run import Run
from recurra_flows.caching import verified_once
from recurra_flows.generation import with_generated
from recurra_flows.gpu_task_runner import gpu_task_runner, heed_cancellation
from recurra_flows.publishing import publish
from recurra_flows.recording import Recorder, begun, recorded
from recurra_flows.references import ArtifactRef
from recurra_flows.sources import opened_once
from recurra_flows.tasks import evaluate, on_devices, preprocess, report, train


@flow(
    name="recognition",
    flow_run_name="{experiment.name}/{experiment.backend}",
    task_runner=gpu_task_runner(),
    persist_result=False,
)
def recognition(experiment: Experiment, home: Path, run: str | None = None) -> str:
    """Runs an experiment, or goes on with the run of that id. Returns the run's folder."""
    heed_cancellation()
    of = begun(experiment, home, run)
    with recorded(of) as record, verified_once(), tags(experiment.backend, experiment.model.kind):
        evaluation, document = recognised(experiment, of, record)
    publish(experiment, evaluation, document)
    return str(of.folder)


def recognised(experiment: Experiment, of: Run, record: Recorder) -> tuple[ArtifactRef, ArtifactRef]:
    """The stages of a run, within its flow: the references of its evaluation and of its report."""
    with opened_once():
        dataset = record("preprocess", preprocess(experiment, of.home.store.root))
    if of.gan is not None:
        dataset = with_generated(experiment, of.gan, dataset, record)
    training = record("train", on_devices(train, experiment).submit(experiment, dataset).result())
    tested = on_devices(evaluate, experiment, 1).submit(experiment, dataset, training)
    evaluation = record("evaluate", tested.result())
    return evaluation, record("report", report(experiment, record.made, of.gan))
