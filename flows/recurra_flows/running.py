"""Runs an experiment as a Prefect flow: what `recurra run` and `recurra resume` have in common."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Protocol

from recurra import stages
from recurra.experiment import Experiment
from recurra.home import Home
from recurra.progress import Progress
from recurra.run import Run
from recurra.store import Outcome
from recurra_flows import api
from recurra_flows.recording import ended
from recurra_flows.watching import Watch, watched


class Spectator(Protocol):
    """Who is told how a run goes."""

    progress: Progress

    def began(self, run: Run) -> None:
        """The run has a folder and a record."""
        ...

    def stage_done(self, outcome: Outcome) -> None:
        """A stage has ended well."""
        ...


def execute(
    home: Home,
    experiment: Experiment,
    spectator: Spectator,
    run: Run | None = None,
    file: Path | None = None,
    debug: bool = False,
) -> Run:
    """The experiment as a new run, or the rest of `run`, to its end. Raises what a stage raised.

    An InputError where another process is still running `run`.
    """
    with run.held() if run else nullcontext():
        return _executed(home, experiment, spectator, run, file, debug)


def _executed(
    home: Home, experiment: Experiment, spectator: Spectator, run: Run | None, file: Path | None, debug: bool
) -> Run:
    api.settle(home, debug)
    wait = api.serve(spectator.progress.note)
    from prefect import tags
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from recurra_flows.recognition import recognition

    # While the server starts: what is wrong with the source is said at once, and what it needs is imported.
    stages.preprocess_inputs(experiment, stages.open_source(experiment, home.path))
    wait()
    run = _begun(home, experiment, run, file)
    results = home.path / "prefect" / "results"
    results.mkdir(parents=True, exist_ok=True)
    with (
        ended(run),
        # The heartbeat's thread makes every flow end with an idle second.
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
        tags(experiment.name, experiment.backend, experiment.model.kind),
        watched(Watch(spectator.progress, spectator.stage_done, None if debug else run.folder)),
    ):
        spectator.began(run)
        recognition.with_options(result_storage=results)(experiment, home.path, str(run.folder))
    return Run.open(home, str(run.folder))


def _begun(home: Home, experiment: Experiment, run: Run | None, file: Path | None) -> Run:
    if run is None:
        return Run.create(home, experiment, file)
    run.record.update(status="running", pid=os.getpid(), ended=None, error=None)
    run.save()
    return run
