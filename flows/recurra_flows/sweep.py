"""The flow of a sweep: trials side by side, each an ordinary training, and the best of them tested.

Every trial goes through the same tasks as a run does, and is found in the store where a run made it. What becomes of a
trial is kept by the search (`recurra.sweep.search`), so that a sweep that was killed goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import flow, tags, task

from recurra.capabilities import able_backend
from recurra.dataset import Dataset
from recurra.durable import write_bytes
from recurra.errors import InputError, RecurraError
from recurra.experiment import Experiment
from recurra.home import Home
from recurra.progress import Progress
from recurra.registry import backend_entry
from recurra.stages import preprocess_inputs, train_inputs
from recurra.store import Store, canonical, key_of
from recurra.sweep import concluding
from recurra.sweep.measuring import Measuring, PrunedError, interrupted_history
from recurra.sweep.plan import Plan
from recurra.sweep.record import Sweep, role
from recurra.sweep.search import Search
from recurra.sweep.trial import Trial, best_of
from recurra.sweep.words import measure, told
from recurra_flows.caching import verified_once
from recurra_flows.gpu_task_runner import gpu_task_runner
from recurra_flows.lanes import Lane, Lanes
from recurra_flows.publishing import publish_conclusion
from recurra_flows.recording import Recorder, concluded, kept
from recurra_flows.references import ArtifactRef
from recurra_flows.sources import opened, opened_once
from recurra_flows.tasks import asked, cached, evaluate, preprocess, train
from recurra_flows.watching import watch, watched
from recurra_flows.workers import WorkerHinderedError

TELL = 10
"""Trials between two lines that say which is the best so far."""


def begun(plan: Plan, home: Home, file: Path | None = None) -> Sweep:
    """The sweep of a plan: of the same plan, data and versions the same."""
    data = preprocess_inputs(plan.experiment, opened(plan.experiment, home.path))
    return Sweep.begin(home, plan, file, {"data": data, "backend": backend_entry(plan.experiment.backend).versions})


@flow(name="sweep", flow_run_name="{plan.experiment.name}/sweep", persist_result=False, task_runner=gpu_task_runner())
def sweep(plan: Plan, home: Path, folder: str | None = None, jobs: int = 1) -> str:
    """Runs a sweep, `jobs` trials at once, or goes on with it; `folder` is that of its record, where it has one
    already. Returns it.
    """
    of = Sweep.at(Home(home), Path(folder)) if folder else begun(plan, Home(home))
    with kept(of) as record, verified_once(), tags(plan.experiment.name, "sweep"), opened_once():
        of.start()
        trials = Trials(plan, of, record, Search(plan, of.folder))
        if not any(each.field.startswith("data.") for each in plan.space):
            trials.dataset(plan.experiment)  # what is wrong with it is wrong with every trial
        with watched(replace(watch(), part=trials.part)):
            trials.run(jobs)
        conclusion = _concluded(plan, trials, record)
        of.record |= _results(of, conclusion)
    _publish(plan, conclusion)
    return str(of.folder)


class Trials:
    """The trials of a sweep, a lane for each that runs at once."""

    def __init__(self, plan: Plan, of: Sweep, record: Recorder, search: Search) -> None:
        self.plan, self.of, self.record, self.search = plan, of, record, search
        self.outer, self._datasets = watch(), dict[str, ArtifactRef]()
        self._measuring: dict[str, Measuring] = {}
        self._left, self._broken = search.unfinished(), list[Exception]()

    def part(self, of: str) -> Progress:
        """Where the stage of a role shows its progress; a training's epochs are measured as well."""
        return self._measuring.get(of) or self.outer.part(of)

    def run(self, jobs: int) -> None:
        """Runs all of them to their ends; a RecurraError where none was done."""
        lanes = Lanes(jobs)
        for number in range(jobs):
            lanes.add(str(number), self._lane())
        lanes.run(lambda _, error: self._broken.append(error))
        if self._broken:
            raise self._broken[0]
        if best_of(self.plan, self.search.trials()) is None:
            raise self._none_done()

    def _lane(self) -> Lane:
        while not self._broken and (trial := self._left.pop(0) if self._left else self.search.ask()) is not None:
            yield from self._trial(trial)

    def _trial(self, trial: Trial) -> Lane:
        """Trains with a trial's settings. What goes wrong with them is the trial's end and not the sweep's; what goes
        wrong otherwise (a full disk) leaves the trial to be gone on with.
        """
        name, measuring = role(trial.number, "train"), None
        try:
            experiment = self.plan.trial(trial.settings)
            able_backend(experiment)
            dataset = self.dataset(experiment)
            measuring = Measuring(self.search, trial, experiment, self.outer.part(name))
            measuring.recall(self._interrupted(experiment, dataset))
            self._measuring[name] = measuring
            training = yield train.with_options(tags=asked(experiment)).submit(experiment, dataset, role=name)
            ended = measuring.ended(training.artifact())
            self.record(name, training)
        except PrunedError as error:
            facts = measuring.facts() if measuring else {}
            ended = self.search.pruned(trial.number, reason=str(error), **facts)
        except WorkerHinderedError:
            raise
        except RecurraError as error:
            ended = self.search.failed(trial.number, str(error), **(measuring.facts() if measuring else {}))
        self._measuring.pop(name, None)
        self._tell(ended)

    def _tell(self, trial: Trial) -> None:
        trials = self.search.trials()
        ended = sum(each.state != "waiting" for each in trials)
        best = best_of(self.plan, trials)
        self.outer.progress.note(told(self.plan, trial, best is not None and best.number == trial.number))
        if ended % TELL == 0 and best is not None and ended < self.plan.trials:
            value = measure(self.plan, best.value)
            self.outer.progress.note(f"{ended} of {self.plan.trials} trials; the best is trial {best.number}: {value}")

    def dataset(self, experiment: Experiment) -> ArtifactRef:
        """The dataset of a trial; of trials that have the same one it is made once."""
        data = canonical(experiment.data.model_dump(mode="json", exclude={"augment"}))
        if data not in self._datasets:
            made = preprocess.with_options(task_run_name="preprocess")(experiment, self.of.home.store.root)
            _check_validation(made)
            self._datasets[data] = made
            self.record("preprocess" if len(self._datasets) == 1 else f"preprocess-{len(self._datasets)}", made)
        return self._datasets[data]

    def _interrupted(self, experiment: Experiment, dataset: ArtifactRef) -> Sequence[Mapping[str, Any]]:
        key = key_of(train_inputs(experiment, dataset.artifact()))
        return interrupted_history(self.of.home.store.partial("train", key))

    def _none_done(self) -> RecurraError:
        trials = self.search.trials()
        reason = next((trial.reason for trial in trials if trial.state == "failed"), "")
        return RecurraError(
            f"none of {len(trials)} trials was done, so none is the best; the first failed: {reason}. Remove"
            f" {self.of.folder}, which remembers them, to try them again"
        )


def _check_validation(dataset: ArtifactRef) -> None:
    split = Dataset.open(dataset.artifact().path).splits.get("validation")
    if split is None or not len(split):
        raise InputError(
            "data.validation_fraction: nothing is held out, and a sweep compares its trials on what is; expected a"
            " number above 0, such as 0.1"
        )


def _concluded(plan: Plan, trials: Trials, record: Recorder) -> ArtifactRef:
    """Tests the best trial, and concludes."""
    found = trials.search.trials()
    best = best_of(plan, found)
    assert best is not None
    experiment = plan.best(best.settings)
    dataset = trials.dataset(experiment)
    # Found in the store, unless somebody has cleared it since.
    training = record("best-train", _done(train, "best-train", experiment, dataset))
    evaluation = record("best-evaluate", _done(evaluate, "best-evaluate", experiment, dataset, training))
    made = {"preprocess": dataset, "train": training, "evaluate": evaluation}
    return record(concluding.STAGE, conclude(plan, found, trials.search.importances(), made))


def _done(stage: Any, name: str, experiment: Experiment, *refs: ArtifactRef) -> ArtifactRef:
    """What a stage that needs a framework made, on devices of its own."""
    return stage.with_options(tags=asked(experiment)).submit(experiment, *refs, role=name).result()


@task(name="conclude", task_run_name="conclude", retries=0, **cached(concluding.STAGE, concluding.sweep_inputs))
def conclude(
    plan: Plan, trials: Sequence[Trial], importances: Mapping[str, float], artifacts: Mapping[str, ArtifactRef]
) -> ArtifactRef:
    """The sweep's numbers, its page and the best trial's file. `artifacts`: the best trial's, by role."""
    store = next(iter(artifacts.values())).store
    made = {name: ref.artifact() for name, ref in artifacts.items()}
    return ArtifactRef.of(store, concluding.conclude(plan, Store(store), trials, importances, made))


def _results(of: Sweep, conclusion: ArtifactRef) -> dict[str, Any]:
    made, best = conclusion.artifact(), of.folder / concluding.BEST
    write_bytes(best, made.file(concluding.BEST).read_bytes())
    return {**concluded(conclusion), "best": str(best)}


def _publish(plan: Plan, conclusion: ArtifactRef) -> None:
    from recurra.report.sweep import trials_table
    from recurra.sweep.findings import Findings

    publish_conclusion(plan.experiment, conclusion, "trials", lambda found: trials_table(Findings.from_json(found)))
