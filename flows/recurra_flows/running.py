"""Runs an experiment as a Prefect flow: what `recurra run` and `recurra resume` have in common."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from recurra import stages
from recurra.capabilities import able_backend
from recurra.experiment import Experiment
from recurra.gan_source import gan_of, settled
from recurra.home import Home
from recurra.progress import Progress
from recurra.run import Run
from recurra.store import Outcome
from recurra_flows import api
from recurra_flows.machines import Machines, Wanted
from recurra_flows.recording import underway
from recurra_flows.sources import opened, opened_once
from recurra_flows.watching import Watch

if TYPE_CHECKING:
    from prefect import Flow


class Spectator(Protocol):
    """Who is told how a run goes."""

    progress: Progress

    def began(self, run: Run) -> None:
        """The run has a folder and a record."""
        ...

    def stage_done(self, role: str, outcome: Outcome) -> None:
        """The stage of that role has ended well."""
        ...


def execute(
    home: Home,
    experiment: Experiment,
    spectator: Spectator,
    run: Run | None = None,
    file: Path | None = None,
    debug: bool = False,
    wanted: Wanted | None = None,
) -> Run:
    """The experiment as a new run, or the rest of `run`, to its end, on the machines that are wanted; by default here.
    Raises what a stage raised.

    An InputError where another process is still running `run`.
    """
    with run.held() if run else nullcontext(), opened_once():
        api.settle(home, debug)
        wait = api.serve(spectator.progress.note)
        with (wanted or Wanted()).machines(home, [experiment.backend], spectator.progress.note) as machines:
            return _executed(home, experiment, spectator, run, file, debug, machines, wait)


def _executed(
    home: Home,
    experiment: Experiment,
    spectator: Spectator,
    run: Run | None,
    file: Path | None,
    debug: bool,
    machines: Machines,
    wait: Callable[[], None],
) -> Run:
    from prefect import tags

    flow, more = _flow(experiment, run)
    # While the server starts: what is wrong with the source is said at once, and what it needs is imported.
    source = opened(experiment, home.path)
    stages.preprocess_inputs(experiment, source)
    experiment = experiment if run else settled(experiment, home)
    gan = run.gan if run else gan_of(experiment, home, source)
    if gan is not None:
        able_backend(gan)
    wait()
    run = _begun(home, experiment, run, file, gan)
    with (
        tags(experiment.name, experiment.backend, experiment.model.kind),
        underway(run, Watch(spectator.progress, spectator.stage_done, None if debug else run.folder)) as results,
    ):
        spectator.began(run)
        runner = machines.task_runner(experiment, None)
        flow.with_options(result_storage=results, task_runner=runner)(
            experiment, home.path, run=str(run.folder), **more
        )
    return Run.open(home, str(run.folder))


def _flow(experiment: Experiment, run: Run | None) -> tuple[Flow[..., str], dict[str, Any]]:
    """The flow, and what it takes beside the experiment, the home and the run: a retraining goes on as one."""
    rules = run.record.get("rules") if run else None
    if rules is not None:
        from recurra.champion.rules import Rules
        from recurra_flows.retrain import retrain

        return retrain, {"rules": Rules(**rules)}
    if experiment.model.kind == "gan":
        from recurra_flows.generation import generation

        return generation, {}
    from recurra_flows.recognition import recognition

    return recognition, {}


def _begun(home: Home, experiment: Experiment, run: Run | None, file: Path | None, gan: Experiment | None) -> Run:
    if run is None:
        return Run.create(home, experiment, file, gan)
    run.record.update(status="running", pid=os.getpid(), ended=None, error=None)
    run.save()
    return run
