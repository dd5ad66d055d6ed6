"""Runs a comparison as a Prefect flow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from recurra import stages
from recurra.comparison.plan import Plan
from recurra.comparison.record import Comparison
from recurra.experiment import Experiment
from recurra.home import Home
from recurra.progress import Progress
from recurra.registry import entries
from recurra.store import Outcome
from recurra_flows import api
from recurra_flows.machines import Machines, Wanted
from recurra_flows.recording import underway
from recurra_flows.sources import opened, opened_once
from recurra_flows.watching import Watch


class Spectator(Protocol):
    """Who is told how a comparison goes."""

    progress: Progress
    """For what belongs to no stage."""

    def part(self, role: str) -> Progress:
        """Where the stage of that role shows its progress, while others show theirs."""
        ...

    def began(self, comparison: Comparison, jobs: int) -> None:
        """The comparison has a folder and a record; `jobs` of its runs go on at once."""
        ...

    def stage_done(self, role: str, outcome: Outcome) -> None:
        """The stage of that role has ended well."""
        ...


def installed(experiment: Experiment) -> list[str]:
    """The backends that can be used, the experiment's own first."""
    others = [entry.name for entry in entries() if not entry.problem and entry.name != experiment.backend]
    return [experiment.backend, *others]


def execute(
    home: Home,
    plan: Plan,
    spectator: Spectator,
    jobs: int | None = None,
    file: Path | None = None,
    debug: bool = False,
    wanted: Wanted | None = None,
) -> Comparison:
    """The comparison, to its end, with `jobs` runs at once, on the machines that are wanted; by default here. Raises
    what a stage raised, or a RecurraError where runs failed, after all others have ended.
    """
    api.settle(home, debug)
    wait = api.serve(spectator.progress.note)
    with (wanted or Wanted()).machines(home, plan.backends, spectator.progress.note) as machines, opened_once():
        # Cores are shared among those that go on at once, and these are never more than there are.
        at_once = min(jobs or machines.room(plan.experiment), len(list(plan.cells())))
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
) -> Comparison:
    from recurra_flows.compare import compare as flow

    # While the server starts: what is wrong with the source is said at once.
    first = plan.run_of(next(plan.cells()))
    stages.preprocess_inputs(first, opened(first, home.path))
    wait()
    comparison = Comparison.begin(home, plan, file)
    with (
        underway(
            comparison,
            Watch(spectator.progress, spectator.stage_done, None if debug else comparison.folder, spectator.part),
        ) as results,
    ):
        spectator.began(comparison, jobs)
        runner = machines.task_runner(plan.experiment, jobs)
        flow.with_options(result_storage=results, task_runner=runner)(plan, home.path, str(comparison.folder), jobs)
    return Comparison.at(home, comparison.folder)
