"""Runs a sweep as a Prefect flow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from recurra.capabilities import able_backend
from recurra.home import Home
from recurra.progress import Progress
from recurra.store import Outcome
from recurra.sweep.plan import Plan
from recurra.sweep.record import Sweep
from recurra_flows import api
from recurra_flows.machines import Machines, ThisMachine, Wanted
from recurra_flows.recording import underway
from recurra_flows.sources import opened_once
from recurra_flows.watching import Watch

LEARNING = 5
"""Of so many trials one at most runs at once where they learn from each other: one that starts knows only those that
have ended."""


class Spectator(Protocol):
    """Who is told how a sweep goes."""

    progress: Progress
    """For what belongs to no stage."""

    def part(self, role: str) -> Progress:
        """Where the stage of that role shows its progress, while others show theirs."""
        ...

    def began(self, sweep: Sweep, jobs: int) -> None:
        """The sweep has a folder and a record; `jobs` of its trials go on at once."""
        ...

    def stage_done(self, role: str, outcome: Outcome) -> None:
        """The stage of that role has ended well."""
        ...


def jobs_for(plan: Plan, machines: Machines | None = None) -> int:
    """How many trials go on at once where nobody says: one on each GPU, without GPUs one on each core; of trials that
    learn from each other no more than a fifth.
    """
    most = max(1, plan.trials // LEARNING) if plan.sampler == "tpe" else plan.trials
    return min(most, (machines or ThisMachine()).room(plan.experiment))


def execute(
    home: Home,
    plan: Plan,
    spectator: Spectator,
    jobs: int | None = None,
    file: Path | None = None,
    debug: bool = False,
    wanted: Wanted | None = None,
) -> Sweep:
    """The sweep, to its end, with `jobs` trials at once, on the machines that are wanted; by default here. Raises a
    RecurraError where no trial was done.

    An InputError where another process is still running it.
    """
    api.settle(home, debug)
    wait = api.serve(spectator.progress.note)
    with (
        (wanted or Wanted()).machines(home, [plan.experiment.backend], spectator.progress.note) as machines,
        opened_once(),
    ):
        # Cores are shared among those that go on at once, and these are never more than there are.
        at_once = min(jobs or jobs_for(plan, machines), plan.trials)
        return _executed(home, plan, spectator, at_once, file, debug, machines, wait)


def _executed(
    home: Home,
    plan: Plan,
    spectator: Spectator,
    jobs: int,
    file: Path | None,
    debug: bool,
    machines: Machines,
    wait: Callable[[], None],
) -> Sweep:
    from recurra_flows.sweep import begun
    from recurra_flows.sweep import sweep as flow

    # While the server starts: what is wrong with the source or the backend is said at once.
    able_backend(plan.experiment)
    sweep = begun(plan, home, file)
    wait()
    with (
        underway(
            sweep, Watch(spectator.progress, spectator.stage_done, None if debug else sweep.folder, spectator.part)
        ) as results,
    ):
        sweep.start()
        spectator.began(sweep, jobs)
        runner = machines.task_runner(plan.experiment, jobs)
        flow.with_options(result_storage=results, task_runner=runner)(plan, home.path, str(sweep.folder), jobs)
    return Sweep.at(home, sweep.folder)
