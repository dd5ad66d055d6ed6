"""The flow of a comparison: each network on each backend by each seed, as many at once as there is room for.

All of it goes through the same tasks as runs do, and is found in the store where a run made it. Runs of one seed share
a dataset, which is made once. A run that fails ends alone; what the others made is there when the comparison is run
again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import flow, tags, task

from recurra.comparison import concluding
from recurra.comparison.plan import Cell, Plan, Probe
from recurra.comparison.record import Comparison
from recurra.dataset import Dataset
from recurra.errors import RecurraError
from recurra.experiment import Experiment
from recurra.home import Home
from recurra.store import Store
from recurra_flows.caching import verified_once
from recurra_flows.countdown import Countdown, Work
from recurra_flows.gpu_task_runner import gpu_task_runner
from recurra_flows.lanes import Future, Lane, Lanes
from recurra_flows.publishing import publish_conclusion
from recurra_flows.recording import Recorder, concluded, kept
from recurra_flows.references import ArtifactRef
from recurra_flows.sources import opened_once
from recurra_flows.tasks import asked, cached, evaluate, preprocess, probe, train
from recurra_flows.watching import watch

TOLD = 3
"""Failures whose reasons the last line gives; each was told when it happened."""


@flow(
    name="compare",
    flow_run_name="{plan.experiment.name}/compare",
    persist_result=False,
    task_runner=gpu_task_runner(),
)
def compare(plan: Plan, home: Path, folder: str | None = None, jobs: int = 1) -> str:
    """Runs a comparison, `jobs` runs at once; `folder` is that of its record, where it has one already. Returns it."""
    of = Comparison.at(Home(home), Path(folder)) if folder else Comparison.begin(Home(home), plan)
    with kept(of) as record, verified_once(), tags(plan.experiment.name, "compare"):
        with opened_once():
            datasets = {seed: _dataset(plan, seed, of.home.store.root, record) for seed in plan.seeds}
        _Runs(plan, datasets, record, jobs).run()
        conclusion = record(concluding.STAGE, conclude(plan, record.made))
        of.record |= concluded(conclusion)
    _publish(plan, conclusion)
    return str(of.folder)


def _dataset(plan: Plan, seed: int, store: Path, record: Recorder) -> ArtifactRef:
    """What all runs of a seed are trained and tested on."""
    cells = [cell for cell in plan.cells() if cell.seed == seed]
    made = preprocess.with_options(task_run_name=f"seed-{seed}-preprocess")(plan.run_of(cells[0]), store)
    for cell in cells:
        record(cell.role("preprocess"), made)
    return made


class _Runs:
    """The comparison's runs, and the probes of their networks, a lane each."""

    def __init__(self, plan: Plan, datasets: Mapping[int, ArtifactRef], record: Recorder, jobs: int) -> None:
        self.plan, self.datasets, self.record = plan, datasets, record
        self.countdown = Countdown({cell.role("train"): self._work(cell) for cell in plan.cells()}, jobs)
        self.lanes, self.failures = Lanes(jobs), dict[str, Exception]()
        for cell in plan.cells():
            self.lanes.add(cell.role(), self._run(cell))

    def run(self) -> None:
        """Runs all of them to their ends; a RecurraError where some failed."""
        self.lanes.run(self._failed)
        if self.failures:
            raise _failure(self.failures)

    def _failed(self, name: str, error: Exception) -> None:
        self.failures[name] = error
        watch().progress.note(f"{name} failed, the others go on: {error}")

    def _work(self, cell: Cell) -> Work:
        samples = int(Dataset.open(self.datasets[cell.seed].artifact().path).count("train").sum())
        return Work(cell.variant.words, self.plan.run_of(cell).train.epochs * samples)

    def _run(self, cell: Cell) -> Lane:
        """Trains and evaluates; the probes of what it has trained are lanes of their own."""
        dataset, experiment = self.datasets[cell.seed], self.plan.run_of(cell)
        role = cell.role("train")
        training = self.record(role, (yield _submitted(train, role, experiment, dataset)))
        watch().progress.note(self.countdown.done(role, training.outcome()))
        for each in self.plan.probes():
            if each.trained == cell:
                self.lanes.add(each.role, self._probe(each, training))
        role = cell.role("evaluate")
        evaluation = self.record(role, (yield _submitted(evaluate, role, experiment, dataset, training)))
        self.countdown.spent(evaluation.outcome(), cell.variant.words)

    def _probe(self, of: Probe, training: ArtifactRef) -> Lane:
        experiment, dataset = self.plan.probing(of), self.datasets[of.trained.seed]
        self.record(of.role, (yield _submitted(probe, of.role, experiment, dataset, training)))


def _submitted(stage: Any, role: str, experiment: Experiment, *refs: ArtifactRef) -> Future:
    """A stage that needs a framework, on devices of its own."""
    return stage.with_options(tags=asked(experiment)).submit(experiment, *refs, role=role)


def _failure(failures: Mapping[str, Exception]) -> RecurraError:
    """All of them in one line, the first ones with their reasons."""
    told = [f"{name}: {error}" for name, error in list(failures.items())[:TOLD]]
    more = f"; and {len(failures) - TOLD} more" if len(failures) > TOLD else ""
    raised = RecurraError(f"{len(failures)} failed, the others are done: {'; '.join(told)}{more}")
    for error in failures.values():
        for note in getattr(error, "__notes__", ()):
            raised.add_note(note)
    return raised


@task(name="conclude", task_run_name="conclude", retries=0, **cached(concluding.STAGE, concluding.comparison_inputs))
def conclude(plan: Plan, artifacts: Mapping[str, ArtifactRef]) -> ArtifactRef:
    """The comparison's numbers and its page. `artifacts`: all that its runs and probes made, by role."""
    store = next(iter(artifacts.values())).store
    made = {role: ref.artifact() for role, ref in artifacts.items()}
    return ArtifactRef.of(store, concluding.conclude(plan, Store(store), made))


def _publish(plan: Plan, conclusion: ArtifactRef) -> None:
    from recurra.comparison.findings import Findings
    from recurra.report.comparison import accuracy_table

    publish_conclusion(plan.experiment, conclusion, "accuracy", lambda found: accuracy_table(Findings.from_json(found)))
