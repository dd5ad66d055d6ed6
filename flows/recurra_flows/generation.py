"""The flow of a GAN: one experiment becomes a generator, samples of it, what they are worth, and a report.

Twice a recogniser is trained: on real samples, to measure the generated ones by, and on those, to see what can be
learned from them.
"""

from __future__ import annotations

from pathlib import Path

from prefect import flow, tags

from recurra.dataset import Dataset
from recurra.experiment import Experiment
from recurra.gan_source import again
from recurra.judgement.judges import judge_of
from recurra.stages import train_inputs
from recurra_flows.caching import verified_once
from recurra_flows.gpu_task_runner import gpu_task_runner, heed_cancellation
from recurra_flows.publishing import publish
from recurra_flows.recording import Recorder, begun, recorded
from recurra_flows.references import ArtifactRef
from recurra_flows.sources import opened_once
from recurra_flows.tasks import augment, generate, judge, on_devices, preprocess, report, train
from recurra_flows.watching import watch


@flow(
    name="generation",
    flow_run_name="{experiment.name}/{experiment.backend}",
    task_runner=gpu_task_runner(),
    persist_result=False,
)
def generation(experiment: Experiment, home: Path, run: str | None = None) -> str:
    """Runs an experiment, or goes on with the run of that id. Returns the run's folder."""
    heed_cancellation()
    of = begun(experiment, home, run)
    with recorded(of) as record, verified_once(), tags(experiment.backend, experiment.model.kind):
        with opened_once():
            dataset = record("preprocess", preprocess(experiment, of.home.store.root))
        own = _judge(experiment, dataset)
        recogniser = record("recogniser", on_devices(train, own).submit(own, dataset, role="recogniser").result())
        training = record("train", on_devices(train, experiment).submit(experiment, dataset, recogniser).result())
        samples = record("generate", on_devices(generate, experiment).submit(experiment, dataset, training).result())
        record("student", on_devices(train, own).submit(own, samples, role="student").result())
        evaluation = record("evaluate", on_devices(judge, experiment).submit(experiment, record.made).result())
        document = record("report", report(experiment, record.made))
    publish(experiment, evaluation, document)
    return str(of.folder)


def with_generated(experiment: Experiment, gan: Experiment, dataset: ArtifactRef, record: Recorder) -> ArtifactRef:
    """The dataset with samples of a GAN beside its own training samples, as many as `experiment` says. The GAN is
    trained first; that of a run only where its training is not in the store, and then it is said.
    """
    own = _judge(gan, dataset)
    recogniser = record("recogniser", on_devices(train, own).submit(own, dataset, role="recogniser").result())
    why = again(experiment, record.run.home, train_inputs(gan, dataset.artifact(), recogniser.artifact()))
    if why:
        watch().progress.note(why)
    training = record("gan", on_devices(train, gan).submit(gan, dataset, recogniser, role="gan").result())
    share = experiment.data.augment.generated
    samples = record("generate", on_devices(generate, gan).submit(gan, dataset, training, share).result())
    return record("augment", augment(dataset, samples))


def _judge(gan: Experiment, dataset: ArtifactRef) -> Experiment:
    return judge_of(gan, Dataset.open(dataset.artifact().path).sample.kind)
