"""`recurra run` and `recurra resume`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.errors import InputError
from recurra_flows.cli import output
from recurra_flows.cli.where import Chosen, Where

if TYPE_CHECKING:
    from recurra.experiment import Experiment
    from recurra.home import Home
    from recurra.run import Run
    from recurra_flows.machines import Wanted


def run(
    file: Path,
    /,
    *overrides: str,
    where: Chosen = Where(),  # noqa: B008 - frozen
    json: output.Json = False,
) -> int:
    """Preprocess, train, evaluate and report, as an experiment file says. What was made before is not made again.

    Parameters
    ----------
    file
        The experiment file (YAML).
    overrides
        Fields to set otherwise, such as train.epochs=20 or backend=tensorflow.
    """
    from recurra.config import load_experiment
    from recurra.home import Home

    return _run(Home.default(), load_experiment(file, overrides), json, file=file, wanted=where.wanted())


def resume(run: str, /, *, where: Chosen = Where(), json: output.Json = False) -> int:  # noqa: B008 - frozen
    """Go on with a run that did not end; its training continues from the last checkpoint.

    Parameters
    ----------
    run
        The run's id, its beginning, its folder, or `latest`.
    """
    from recurra.home import Home
    from recurra.run import Run

    found = Run.open(Home.default(), run)
    if not found.whole():
        wanted = where.wanted()
        # A source's relative path is meant from where the run was started.
        if Path(found.record["folder"]).is_dir():
            os.chdir(found.record["folder"])
        return _run(found.home, found.experiment, json, of=found, wanted=wanted)
    if json:
        output.emit(summary(found))
    else:
        print(f"run {found.id} is already finished; its report: {found.record['report']}")
    return 0


def _run(
    home: Home,
    experiment: Experiment,
    json: bool,
    of: Run | None = None,
    file: Path | None = None,
    wanted: Wanted | None = None,
) -> int:
    from recurra.capabilities import able_backend
    from recurra_flows.cli.display import Display
    from recurra_flows.running import execute

    able_backend(experiment)  # what is not there is said before anything is done
    home.made()
    with output.reserved(json):
        display = Display(experiment, json)
        try:
            done = execute(home, experiment, display, of, file, output.DEBUG.get(), wanted)
        except BaseException as error:
            display.progress.end()
            if display.run and not isinstance(error, InputError):
                again = f"recurra resume {display.run.id}{wanted.options if wanted else ''}"
                output.say(f"run {display.run.id} did not end; `{again}` goes on with it")
            raise
        display.finished(done)
    if json:
        output.emit(summary(done))
    return 0


def summary(run: Run) -> dict[str, Any]:
    """What `--json` prints of a run."""
    names = ("cache", "why", "seconds", "artifact")
    return {
        "run": str(run.folder),
        "name": run.record["name"],
        "backend": run.record["backend"],
        "model": run.record["model"],
        "stages": {role: {name: done[name] for name in names} for role, done in run.done().items()},
        "metrics": run.record["metrics"],
        "report": run.record["report"],
    }
