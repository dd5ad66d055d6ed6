"""The flow of a study: for each fraction of the training data and each seed a GAN, and a recogniser in each arm.

All of it goes through the same tasks as runs do, and is found in the store where a run made it. One training after the
other: on one machine they would only take each other's cores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from prefect import flow, tags, task

from recurra.dataset import Dataset
from recurra.errors import RecurraError
from recurra.experiment import Experiment
from recurra.generation import beside_real
from recurra.home import Home
from recurra.judgement.judges import judge_of
from recurra.store import Store
from recurra.study import concluding
from recurra.study.plan import WITH_GENERATED, Cell, Plan
from recurra.study.record import Study
from recurra_flows.caching import verified_once
from recurra_flows.countdown import Countdown, Work
from recurra_flows.gpu_task_runner import gpu_task_runner, heed_cancellation
from recurra_flows.publishing import publish_conclusion
from recurra_flows.recording import Recorder, concluded, kept
from recurra_flows.references import ArtifactRef
from recurra_flows.sources import opened_once
from recurra_flows.tasks import augment, cached, evaluate, generate, on_devices, preprocess, train
from recurra_flows.watching import watch


@flow(name="study", flow_run_name="{plan.experiment.name}/study", task_runner=gpu_task_runner(), persist_result=False)
def study(plan: Plan, home: Path, folder: str | None = None) -> str:
    """Runs a study; `folder` is that of its record, where it has one already. Returns that folder."""
    heed_cancellation()
    of = Study.at(Home(home), Path(folder)) if folder else Study.begin(Home(home), plan)
    with kept(of) as record, verified_once(), tags(plan.experiment.backend, plan.experiment.model.kind, "study"):
        with opened_once():
            datasets = {cell: _dataset(plan, cell, of.home.store.root, record) for cell in plan.cells()}
        ahead = {role: work for cell, dataset in datasets.items() for role, work in _work(plan, cell, dataset)}
        learn = _Trainer(plan, record, Countdown(ahead))
        for cell, dataset in datasets.items():
            joined = _with_generated(plan, cell, dataset, learn)
            for arm in plan.arms:
                _arm(plan, cell, arm, dataset, joined if arm in WITH_GENERATED else dataset, learn)
        conclusion = record(concluding.STAGE, conclude(plan, record.made))
        of.record |= concluded(conclusion)
    _publish(plan, conclusion)
    return str(of.folder)


class _Trainer:
    """Trains networks, and says how many are left."""

    def __init__(self, plan: Plan, record: Recorder, countdown: Countdown) -> None:
        self.plan, self.record, self.countdown = plan, record, countdown

    def __call__(
        self, role: str, experiment: Experiment, dataset: ArtifactRef, judge: ArtifactRef | None = None
    ) -> ArtifactRef:
        """The trained network."""
        with self._named(role):
            trained = on_devices(train, experiment).submit(experiment, dataset, judge, role=role)
            ref = self.record(role, trained.result())
        watch().progress.note(self.countdown.done(role, ref.outcome()))
        return ref

    @contextmanager
    def _named(self, role: str) -> Iterator[None]:
        """Adds to a failure which of the networks it was, and the file whose fields are meant."""
        try:
            yield
        except RecurraError as error:
            named = type(error)(f"{role}{self._settings_of(role)}: {error}")
            for note in getattr(error, "__notes__", ()):
                named.add_note(note)
            raise named from error

    def _settings_of(self, role: str) -> str:
        gan, file = self.plan.experiment.data.augment.gan, self.record.run.record["file"]
        if role.endswith("-recogniser"):
            return f" ({gan}, evaluate.gan.recogniser)"
        file = gan if role.endswith("-gan") else file
        return f" ({file})" if file else ""

    def also(self, role: str, ref: ArtifactRef) -> ArtifactRef:
        """The reference of another stage, recorded."""
        self.countdown.spent(ref.outcome())
        return self.record(role, ref)


def _dataset(plan: Plan, cell: Cell, store: Path, record: Recorder) -> ArtifactRef:
    role = cell.role("preprocess")
    return record(role, preprocess.with_options(task_run_name=role)(plan.data(cell), store))


def _work(plan: Plan, cell: Cell, dataset: ArtifactRef) -> Iterator[tuple[str, Work]]:
    """(role, work) of all trainings of a cell; before any begins, an InputError where an arm cannot be trained."""
    found = Dataset.open(dataset.artifact().path)
    counts, share = found.count("train"), plan.experiment.data.augment.generated
    real, trained_on = int(counts.sum()), int(counts.sum() + beside_real(counts, share).sum())
    gan = plan.generator(cell, real)
    judge = judge_of(gan, found.sample.kind)
    yield cell.role("recogniser"), Work("recogniser", judge.train.epochs * real)
    yield cell.role("gan"), Work("gan", gan.train.epochs * real)
    for arm in plan.arms:
        samples = trained_on if arm in WITH_GENERATED else real
        epochs = plan.recogniser(cell, arm, real, samples).train.epochs
        yield cell.role(arm, "train"), Work("arm", epochs * samples)


def _with_generated(plan: Plan, cell: Cell, dataset: ArtifactRef, learn: _Trainer) -> ArtifactRef:
    """The dataset with samples of a GAN that was trained on it."""
    gan, share = plan.generator(cell, _training_samples(dataset)), plan.experiment.data.augment.generated
    judge = judge_of(gan, Dataset.open(dataset.artifact().path).sample.kind)
    recogniser = learn(cell.role("recogniser"), judge, dataset)
    training = learn(cell.role("gan"), gan, dataset, recogniser)
    role = cell.role("generate")
    generated = on_devices(generate, gan).submit(gan, dataset, training, share, role=role)
    samples = learn.also(role, generated.result())
    role = cell.role("augment")
    return learn.also(role, augment.with_options(task_run_name=role)(dataset, samples))


def _arm(plan: Plan, cell: Cell, arm: str, real: ArtifactRef, trained_on: ArtifactRef, learn: _Trainer) -> None:
    experiment = plan.recogniser(cell, arm, _training_samples(real), _training_samples(trained_on))
    training = learn(cell.role(arm, "train"), experiment, trained_on)
    role = cell.role(arm, "evaluate")
    tested = on_devices(evaluate, experiment, 1).submit(experiment, trained_on, training, role=role)
    learn.also(role, tested.result())


def _training_samples(dataset: ArtifactRef) -> int:
    return int(Dataset.open(dataset.artifact().path).count("train").sum())


@task(name="conclude", task_run_name="conclude", retries=0, **cached(concluding.STAGE, concluding.study_inputs))
def conclude(plan: Plan, artifacts: Mapping[str, ArtifactRef]) -> ArtifactRef:
    """The study's numbers and its page. `artifacts`: all that its cells made, by role."""
    store = next(iter(artifacts.values())).store
    made = {role: ref.artifact() for role, ref in artifacts.items()}
    return ArtifactRef.of(store, concluding.conclude(plan, Store(store), made))


def _publish(plan: Plan, conclusion: ArtifactRef) -> None:
    from recurra.report.study import accuracy_table
    from recurra.study.findings import Findings

    publish_conclusion(plan.experiment, conclusion, "accuracy", lambda found: accuracy_table(Findings.from_json(found)))
