"""Every flow as deployments have it: its parameters are what a person fills in, in the dashboard or in a project file.

`RECURRA_HOME` says where artifacts and runs are kept. Parameters are described under `Args:`, where Prefect finds the
help that its form shows (`recurra_flows.form`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from recurra.capabilities import able_backend
from recurra.champion.rules import Rules
from recurra.comparison.plan import Network
from recurra.experiment import Experiment
from recurra.home import Home
from recurra.run import Run
from recurra.scoring.settings import Scoring
from recurra.study.plan import Plan as StudyPlan
from recurra.sweep.plan import MOST, Sampler
from recurra_flows.answering import predicted
from recurra_flows.form import BackendName, FilledExperiment
from recurra_flows.framing import framed, shown, tags_of
from recurra_flows.gpu_task_runner import gpu_task_runner, share_cores
from recurra_flows.leased import room, share
from recurra_flows.limits import Limits
from recurra_flows.maintaining import maintained
from recurra_flows.publishing import publish_predictions
from recurra_flows.resumable import carried_out, named
from recurra_flows.telling import tell
from recurra_flows.watching import watch

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Part = Annotated[float, Field(gt=0, le=1)]
Jobs = Annotated[int, Field(ge=1, le=1024)]


def _results() -> Path:
    # Those of `recurra run` too: what the one has made is a hit of the other. Prefect asks for the place when the flow
    # is defined: a deployed flow has a process of its own, which is started with its RECURRA_HOME.
    return Home.default().path / "prefect" / "results"


UNLIMITED, RULES, SCORING = Limits(), Rules(), Scoring()
BEST = ("best-train", "best-evaluate", "sweep")
SETTINGS: dict[str, Any] = {"task_runner": gpu_task_runner(), "persist_result": False, "result_storage": _results()}


@flow(name="run", flow_run_name=named, **SETTINGS)
def run(experiment: FilledExperiment, resume: str | None = None, limits: Limits = UNLIMITED) -> str:
    """Preprocess, train, evaluate and report. What was made before is not made again.

    Args:
        experiment: As in an experiment file.
        resume: A run to go on with, by its name; its own experiment is meant then.
        limits: A time-out, and retries.
    """

    def work(of: Run) -> str:
        if of.experiment.model.kind == "gan":
            from recurra_flows.generation import generation as kind
        else:
            from recurra_flows.recognition import recognition as kind
        return kind.fn(of.experiment, of.home.path, of.id)

    return carried_out(experiment, resume, limits, work)


@flow(name="retrain", flow_run_name=named, **SETTINGS)
def retrain(
    experiment: FilledExperiment, rules: Rules = RULES, resume: str | None = None, limits: Limits = UNLIMITED
) -> str:
    """Train anew where the data has changed, promote what is better than the champion, and tell drift.

    Args:
        experiment: As in an experiment file.
        rules: When a new network takes the champion's place, and how much drift is an alarm.
        resume: A run to go on with, by its name; its own experiment is meant then.
        limits: A time-out, and retries.
    """

    def work(of: Run) -> str:
        from recurra_flows.retrain import retrain as retraining

        return retraining.fn(of.experiment, of.home.path, rules, of.id)

    return carried_out(experiment, resume, limits, work, rules.champion)


@flow(name="compare", flow_run_name="{experiment.name}/compare", **SETTINGS)
def compare(
    experiment: FilledExperiment,
    backends: tuple[BackendName, ...] = (),
    models: tuple[Network, ...] = ("cnn", "rnn", "fusion"),
    seeds: tuple[Seed, ...] = (0, 1, 2),
    jobs: Jobs | None = None,
    limits: Limits = UNLIMITED,
) -> str:
    """Train each network on each backend by each seed, and say which is best.

    Args:
        experiment: A recogniser's, as in an experiment file; its backend, network and seed do not matter.
        backends: The one that the others are compared with first; none: all that are installed.
        models: Which networks.
        seeds: Each draws its own first weights and its own order of the data.
        jobs: Runs at once; left out: one on each GPU, without GPUs one on each core.
        limits: A time-out, and retries, which find in the store what was made.
    """

    def attempt() -> str:
        from recurra.comparison.concluding import STAGE
        from recurra.comparison.plan import planned
        from recurra.comparison.record import Comparison
        from recurra_flows.compare import compare as comparing
        from recurra_flows.comparing import installed

        home = Home.default().made()
        plan = planned(experiment, backends or installed(experiment), models, seeds)
        at_once = min(jobs or room(experiment), len(list(plan.cells())))
        share_cores(share(experiment, at_once))
        of = Comparison.begin(home, plan)
        with shown(of, (*plan.roles(), STAGE)):
            return comparing.fn(plan, home.path, str(of.folder), at_once)

    return framed(experiment.name, limits, attempt, (experiment.name, *backends, *models))


@flow(name="sweep", flow_run_name="{experiment.name}/sweep", **SETTINGS)
def sweep(
    experiment: FilledExperiment,
    space: Annotated[tuple[str, ...], Field(min_length=1)],
    trials: Annotated[int, Field(ge=1, le=MOST)] | None = None,
    sampler: Sampler = "tpe",
    prune: bool = True,
    jobs: Jobs | None = None,
    limits: Limits = UNLIMITED,
) -> str:
    """Search for the settings that recognise best. The same sweep again goes on, and with more trials further.

    Args:
        experiment: A recogniser's, as in an experiment file.
        space: Fields that vary: a range such as train.learning_rate=1e-4..1e-2, or choices such as
            model.rnn.units=64,128,256.
        trials: Trainings in all; left out: 30, of a grid every combination.
        sampler: tpe learns from the trials that have ended, random draws, grid tries every combination.
        prune: Whether a trial ends early when others were better at that epoch.
        jobs: Trials at once; left out: one on each GPU or core, and with tpe no more than a fifth of the trials.
        limits: A time-out, and retries, which go on with what is there.
    """

    def attempt() -> str:
        from recurra.sweep.plan import of_space
        from recurra.sweep.record import role
        from recurra_flows.sweep import begun as sweep_begun
        from recurra_flows.sweep import sweep as sweeping
        from recurra_flows.sweeping import jobs_for

        home = Home.default().made()
        able_backend(experiment)
        plan = of_space(experiment, space, trials, sampler, prune)
        at_once = min(jobs or jobs_for(plan), plan.trials)
        share_cores(share(experiment, at_once))
        of = sweep_begun(plan, home)
        with of.held():
            of.start()
            with shown(of, ("preprocess", *(role(n, "train") for n in range(plan.trials)), *BEST)):
                return sweeping.fn(plan, home.path, str(of.folder), at_once)

    return framed(experiment.name, limits, attempt, tags_of(experiment))


@flow(name="augment", flow_run_name="{experiment.name}/augment", **SETTINGS)
def augment(
    experiment: FilledExperiment,
    gan: str | None = None,
    fractions: tuple[Part, ...] = (0.05, 0.1, 0.25, 1.0),
    seeds: tuple[Seed, ...] = (0, 1, 2),
    limits: Limits = UNLIMITED,
) -> str:
    """Study whether generated samples help a recogniser, on parts of the training data, over seeds.

    Args:
        experiment: The recogniser's, as in an experiment file.
        gan: The GAN's experiment file; left out: the one that data.augment.gan names.
        fractions: Parts of the training data.
        seeds: Each draws its own part, first weights and GAN.
        limits: A time-out, and retries, which find in the store what was made.
    """

    def attempt() -> str:
        from recurra.study.plan import planned
        from recurra.study.record import Study
        from recurra_flows.study import study

        home = Home.default().made()
        plan = planned(_with_gan(experiment, gan), home, fractions, seeds)
        for asked in (plan.experiment, plan.gan):
            able_backend(asked)
        of = Study.begin(home, plan)
        with shown(of, _roles(plan)):
            return study.fn(plan, home.path, str(of.folder))

    return framed(experiment.name, limits, attempt, tags_of(experiment))


@flow(name="score", flow_run_name="{source}/score", **SETTINGS)
def score(source: str, inbox: Path, settings: Scoring = SCORING, limits: Limits = UNLIMITED) -> dict[str, Any]:
    """Recognise the files of a folder that were not recognised yet, each once.

    Args:
        source: A run's name, the beginning of one, latest, or champion:NAME.
        inbox: The folder that new files come into.
        settings: What is scored, and with what.
        limits: A time-out, and retries.
    """

    from recurra_flows.scoring.flow import score as scoring
    from recurra_flows.scoring.scorer import name_of

    home = Home.default()

    def attempt() -> dict[str, Any]:
        return scoring.fn(source, inbox, home.made().path, settings)

    return framed(name_of(home, source, settings), limits, attempt, ("score", source))


@flow(name="predict", flow_run_name="{run}/predict", **SETTINGS)
def predict(
    run: str, paths: tuple[str, ...], out: Path, backend: BackendName | None = None, limits: Limits = UNLIMITED
) -> str:
    """Recognise unlabelled files or folders with a run's network.

    Args:
        run: The run's name, the beginning of one, or latest.
        paths: Images or clips, or folders of them.
        out: Where to write the predictions, a .parquet or .csv file.
        backend: Which one answers, where it is not to be the one that was trained.
        limits: A time-out, and retries.
    """

    def attempt() -> str:
        of = Run.open(Home.default(), run)
        answer = predicted(of, paths, out, backend, watch().progress)
        for each in answer["refused"]:
            tell(f"warning: {each['source']}: {each['reason']}")
        tell(f"{answer['predicted']:,} samples recognised: {out}")
        publish_predictions(of.experiment, answer)
        return str(out)

    return framed(run, limits, attempt, ("predict",))


@flow(name="maintain", flow_run_name="maintain", **SETTINGS)
def maintain(
    days: Annotated[float, Field(ge=0, le=36_500)] = 30.0,
    verify: bool = True,
    dry_run: bool = False,
    limits: Limits = UNLIMITED,
) -> str:
    """Check every byte of the store, and remove what no run refers to.

    Args:
        days: Keep what is younger than this.
        verify: Whether every artifact is checked first; a damaged one is set aside, and made again when it is needed.
        dry_run: Say what would be removed, and remove nothing.
        limits: A time-out, and retries.
    """

    def attempt() -> str:
        return maintained(Home.default().made(), days, verify, dry_run)

    return framed("maintain", limits, attempt)


def _roles(plan: StudyPlan) -> Iterator[str]:
    """All stages of a study."""
    for cell in plan.cells():
        yield from (cell.role(what) for what in ("preprocess", "recogniser", "gan", "generate", "augment"))
        yield from (cell.role(arm, what) for arm in plan.arms for what in ("train", "evaluate"))
    yield "study"


def _with_gan(experiment: Experiment, gan: str | None) -> Experiment:
    if gan is None:
        return experiment
    augment = experiment.data.augment.model_copy(update={"gan": gan})
    return experiment.model_copy(update={"data": experiment.data.model_copy(update={"augment": augment})})
