"""A run as a deployed flow has it: a new one, or one to go on with; what is tried again goes on with the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, nullcontext, suppress
from pathlib import Path

from prefect.runtime import flow_run

from recurra.capabilities import able_backend
from recurra.errors import InputError
from recurra.experiment import Experiment
from recurra.home import Home
from recurra.run import Run
from recurra_flows.framing import framed, shown, tags_of
from recurra_flows.limits import Limits
from recurra_flows.recording import begun, ended


def named() -> str:
    """The flow run's name, such as digits/torch: of the run that it goes on with, or of what was filled in."""
    asked = flow_run.parameters
    experiment = meant(asked["experiment"], asked["resume"])
    return f"{experiment.name}/{experiment.backend}"


def meant(experiment: Experiment, resume: str | None) -> Experiment:
    """The experiment of the run to go on with; without one, or where its record cannot be read, what was filled in."""
    with suppress(InputError):
        return Run.open(Home.default(), resume).experiment if resume else experiment
    return experiment


def carried_out(
    experiment: Experiment, resume: str | None, limits: Limits, work: Callable[[Run], str], about: str | None = None
) -> str:
    """What the work answers for the run to go on with, or for a new one. `about` is what it is about, where that is
    not the experiment.
    """
    last = resume

    def attempt() -> str:
        nonlocal last
        with _begun(experiment, last) as of:
            last = of.id
            with shown(of), _where(of):
                return work(of)

    asked = meant(experiment, resume)
    return framed(about or asked.name, limits, attempt, tags_of(asked))


@contextmanager
def _begun(experiment: Experiment, resume: str | None) -> Iterator[Run]:
    """Holds the run to go on with, or a new one; an InputError where it cannot be run here, or runs already."""
    home = Home.default().made()
    found = Run.open(home, resume) if resume else None
    if found is None:
        able_backend(experiment)
    with found.held() if found else nullcontext():
        # Read only now: who held it may have written until then.
        of = begun(experiment, home.path, str(found.folder) if found else None)
        with ended(of):
            for asked in filter(None, (of.experiment, of.gan)):
                able_backend(asked)
            of.record.update(status="running", pid=os.getpid(), ended=None, error=None)
            of.save()
            yield of


@contextmanager
def _where(of: Run) -> Iterator[None]:
    """Within the block a relative path is meant from where the run was started."""
    folder = Path(of.record["folder"])
    with chdir(folder if folder.is_dir() else Path.cwd()):
        yield
