"""`recurra sweep`: which settings recognise best?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recurra.errors import InputError
from recurra_flows.cli import output
from recurra_flows.cli.planned import perform
from recurra_flows.cli.stage_line import stage_line
from recurra_flows.cli.where import Chosen, Where

if TYPE_CHECKING:
    from recurra.home import Home
    from recurra.progress import Progress
    from recurra.store import Outcome
    from recurra.sweep.plan import Plan
    from recurra.sweep.record import Sweep
    from recurra_flows.machines import Wanted

ROLE = 13
"""Width of a stage's role: of `best-evaluate`."""


def sweep(
    file: Path,
    /,
    *settings: str,
    trials: int | None = None,
    jobs: int | None = None,
    sampler: Literal["tpe", "random", "grid"] = "tpe",
    prune: bool = True,
    where: Chosen = Where(),  # noqa: B008 - frozen
    json: output.Json = False,
) -> int:
    """Search for the settings that recognise best on the validation split; the best are tested and written as a file.

    A sweep that was interrupted goes on with the same command, and with more trials it goes further.

    Parameters
    ----------
    file
        The experiment file (YAML).
    settings
        Fields that vary: a range (train.learning_rate=1e-4..1e-2, log:A..B, A..B:STEP) or choices
        (model.rnn.units=64,128,256); a single value (train.epochs=20) is an override.
    trials
        Trainings in all; left out: 30, of a grid every combination.
    jobs
        Trials at once; left out: one on each GPU, or on each core, and with tpe no more than a fifth of the trials.
        With 1 the same command chooses the same settings again.
    sampler
        tpe learns from the trials that have ended, random draws, grid tries every combination.
    prune
        Whether a trial ends early when others were better at that epoch.
    """
    from recurra.home import Home
    from recurra.sweep.plan import planned

    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs {jobs}: expected 1 or more")
    plan = planned(file, settings, trials, sampler, prune)
    return _sweep(Home.default(), plan, jobs, file, json, where.wanted())


def _sweep(home: Home, plan: Plan, jobs: int | None, file: Path, json: bool, wanted: Wanted) -> int:
    from recurra_flows.sweeping import execute

    home.made()
    done = perform(
        json,
        lambda: Display(plan, json),
        lambda display: execute(home, plan, display, jobs, file, output.DEBUG.get(), wanted),
        "it",
    )
    if json:
        output.emit(summary(done))
    return 0


class Display:
    """Shows a sweep; on standard error where standard output is a program's."""

    def __init__(self, plan: Plan, json: bool) -> None:
        from recurra.board import board_for_stream

        self.plan, self.board = plan, board_for_stream(sys.stderr)
        self.progress = self.board.part("")
        self.console = output.console(error=json)
        self.record: Sweep | None = None

    def part(self, role: str) -> Progress:
        """A part of the board; of a trial by its number."""
        return self.board.part(role.removesuffix("-train"))

    def began(self, sweep: Sweep, jobs: int) -> None:
        """Its name, and what it searches."""
        from rich.text import Text

        self.record, plan = sweep, self.plan
        at_once = f", {jobs} at once" if jobs > 1 else ""
        what = f"  {plan.trials} trials ({plan.sampler}){at_once}  "
        self.console.print(Text.assemble((plan.experiment.name, "bold"), what, (f"sweep {sweep.id}", "dim")))
        for each in plan.space:
            self.console.print(Text.assemble(f"  {each.field}  ", (each.words, "cyan")))

    def stage_done(self, role: str, outcome: Outcome) -> None:
        """A line: the stage's role, whether it was a hit, its seconds, and why. Trials have lines of their own."""
        if not role.startswith("trial-"):
            self.console.print(stage_line(role, ROLE, outcome))

    def close(self) -> None:
        """Takes bars away."""
        self.board.close()

    def finished(self, sweep: Sweep) -> None:
        """Its answer, its report and the best trial's file."""
        from rich.text import Text

        self.close()
        self.console.print(Text.assemble("\n", (sweep.record["answer"], "bold")))
        best = ("best   ", (sweep.record["best"], "bold"), "  (`recurra run` takes it as it is)")
        self.console.print(Text.assemble(*best))
        self.console.print(Text.assemble("report ", (sweep.record["report"], "bold")))


def summary(sweep: Sweep) -> dict[str, Any]:
    """What `--json` prints of a sweep."""
    from recurra.durable import read_json
    from recurra.sweep.concluding import STAGE
    from recurra.sweep.findings import Findings

    found = Findings.from_json(read_json(sweep.artifact(STAGE).file("sweep.json")))
    return {
        "sweep": str(sweep.folder),
        "name": sweep.record["name"],
        "monitored": found.plan.monitored,
        "answer": found.answer,
        "best": {
            "trial": found.best.number,
            "settings": found.best.settings,
            found.plan.monitored: found.best.value,
            "test": found.test,
            "file": sweep.record["best"],
        },
        "trials": {state: found.count(state) for state in ("done", "pruned", "failed")},
        "importances": found.importances,
        "warnings": list(found.warnings),
        "table": sweep.record["table"],
        "report": sweep.record["report"],
    }
