"""Runs a study as a Prefect flow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from recurra import stages
from recurra.capabilities import able_backend
from recurra.home import Home
from recurra.progress import Progress
from recurra.store import Outcome
from recurra.study.plan import Plan
from recurra.study.record import Study
from recurra_flows import api
from recurra_flows.machines import Machines, Wanted
from recurra_flows.recording import underway
from recurra_flows.sources import opened, opened_once
from recurra_flows.watching import Watch


class Spectator(Protocol):
    """Who is told how a study goes."""

    progress: Progress

    def began(self, study: Study) -> None:
        """The study has a folder and a record."""
        ...

    def stage_done(self, role: str, outcome: Outcome) -> None:
        """The stage of that role has ended well."""
        ...


def execute(
    home: Home,
    plan: Plan,
    spectator: Spectator,
    file: Path | None = None,
    debug: bool = False,
    wanted: Wanted | None = None,
) -> Study:
    """The study, to its end, on the machines that are wanted; by default here. Raises what a stage raised."""
    api.settle(home, debug)
    wait = api.serve(spectator.progress.note)
    backends = dict.fromkeys((plan.experiment.backend, plan.gan.backend))
    with (wanted or Wanted()).machines(home, backends, spectator.progress.note) as machines, opened_once():
        return _executed(home, plan, spectator, file, debug, machines, wait)


def _executed(
    home: Home,
    plan: Plan,
    spectator: Spectator,
    file: Path | None,
    debug: bool,
    machines: Machines,
    wait: Callable[[], None],
) -> Study:
    from prefect import tags

    from recurra_flows.study import study as flow

    # While the server starts: what is wrong with the source or a backend is said at once.
    first = plan.data(next(plan.cells()))
    stages.preprocess_inputs(first, opened(first, home.path))
    for asked in (plan.experiment, plan.gan):
        able_backend(asked)
    wait()
    study = Study.begin(home, plan, file)
    with (
        tags(plan.experiment.name),
        underway(study, Watch(spectator.progress, spectator.stage_done, None if debug else study.folder)) as results,
    ):
        spectator.began(study)
        runner = machines.task_runner(plan.experiment, None)
        flow.with_options(result_storage=results, task_runner=runner)(plan, home.path, str(study.folder))
    return Study.at(home, study.folder)
