"""`recurra compare`: which network is best, and does the backend matter?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from recurra.errors import InputError
from recurra_flows.cli import output
from recurra_flows.cli.lists import names, numbers
from recurra_flows.cli.planned import perform
from recurra_flows.cli.stage_line import measured, stage_line
from recurra_flows.cli.where import Chosen, Where

if TYPE_CHECKING:
    from recurra.comparison.findings import Findings
    from recurra.comparison.plan import Plan
    from recurra.comparison.record import Comparison
    from recurra.home import Home
    from recurra.progress import Progress
    from recurra.store import Outcome
    from recurra_flows.machines import Wanted


def compare(
    file: Path,
    /,
    *overrides: str,
    backends: str | None = None,
    models: str = "cnn,rnn,fusion",
    seeds: Annotated[str, Parameter(allow_leading_hyphen=True)] = "0,1,2",
    jobs: Annotated[int | None, Parameter(allow_leading_hyphen=True)] = None,
    where: Chosen = Where(),  # noqa: B008 - frozen
    json: output.Json = False,
) -> int:
    """Compare networks and backends: the same experiment with each network, on each backend, by each seed.

    Runs go on side by side, and runs of one seed have the same data. A run that fails does not take the others with it.
    A comparison that was interrupted goes on with the same command.

    Parameters
    ----------
    file
        The experiment file (YAML) of a recogniser.
    overrides
        Fields to set otherwise, such as train.epochs=20 or data.source=fashion-mnist.
    backends
        Separated by commas, the one that the others are compared with first; left out: all that are installed, the
        experiment's own first.
    models
        Separated by commas, of cnn, rnn and fusion.
    seeds
        Separated by commas; each draws its own first weights and its own order of the data, and its own splits where
        the source has none.
    jobs
        Runs that go on at once; left out: as many as there are GPUs, or without GPUs as there are cores. Each has its
        share of the cores.
    """
    from recurra.comparison.plan import planned
    from recurra.config import load_experiment
    from recurra.home import Home
    from recurra_flows.comparing import installed

    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs: expected a number from 1, found {jobs}")
    home, experiment = Home.default(), load_experiment(file, overrides)
    on = installed(experiment) if backends is None else names("--backends", backends)
    plan = planned(experiment, on, names("--models", models), numbers("--seeds", seeds, int))
    return _compare(home, plan, jobs, file, json, where.wanted())


def _compare(home: Home, plan: Plan, jobs: int | None, file: Path, json: bool, wanted: Wanted) -> int:
    from recurra_flows.comparing import execute

    home.made()
    done = perform(
        json,
        lambda: Display(plan, json),
        lambda display: execute(home, plan, display, jobs, file, output.DEBUG.get(), wanted),
    )
    if json:
        output.emit(summary(done))
    return 0


class Display:
    """Shows a comparison; on standard error where standard output is a program's."""

    def __init__(self, plan: Plan, json: bool) -> None:
        from recurra.board import Bars, board_for_stream

        self.plan, board = plan, board_for_stream(sys.stderr)
        self.board, self.progress = board, board.part("")
        self.console = output.console(error=json)
        if isinstance(board, Bars) and (json or sys.stdout.isatty()):
            self.console = board.console  # on the terminal of the bars, lines have to know of them
        self.width = max(len(role) for role in plan.roles())
        self.record: Comparison | None = None
        self._datasets: set[str] = set()

    def part(self, role: str) -> Progress:
        """A part of the board."""
        return self.board.part(role)

    def began(self, comparison: Comparison, jobs: int) -> None:
        """Its name, and what lies ahead."""
        from rich.text import Text

        from recurra.wording import listed, plural

        self.record, plan = comparison, self.plan
        runs = plural(len(list(plan.cells())), "run")
        what = f"  {runs}: {listed(plan.models)} on {listed(plan.backends)}, {plural(len(plan.seeds), 'seed')}"
        at_once = f", {jobs} at once  " if jobs > 1 else "  "
        self._print(
            Text.assemble((plan.experiment.name, "bold"), what, at_once, (f"comparison {comparison.id}", "dim"))
        )

    def stage_done(self, role: str, outcome: Outcome) -> None:
        """A line: the stage's role, whether it was a hit, its seconds, and what it came to or why it ran."""
        if outcome.artifact.stage == "preprocess":
            if outcome.artifact.key in self._datasets:
                return  # another run has the same data
            self._datasets.add(outcome.artifact.key)
        self._print(stage_line(role, self.width, outcome, measured(outcome)))

    def close(self) -> None:
        """Takes bars away."""
        self.board.close()

    def finished(self, comparison: Comparison) -> None:
        """The accuracies, the answer and the report."""
        from rich.text import Text

        self.close()
        self._print("")
        self._print(_table(_findings(comparison)))
        self._print(Text.assemble("\n", (comparison.record["answer"], "bold")))
        self._print(Text.assemble("report ", (comparison.record["report"], "bold")))

    def _print(self, shown: Any) -> None:
        self.console.print(shown, highlight=False, soft_wrap=True)


def _findings(comparison: Comparison) -> Findings:
    from recurra.comparison.concluding import STAGE
    from recurra.comparison.findings import Findings
    from recurra.durable import read_json

    return Findings.from_json(read_json(comparison.artifact(STAGE).file("comparison.json")))


def _table(findings: Findings) -> Any:
    """The accuracy of each network on each backend."""
    from rich.table import Table
    from rich.text import Text

    from recurra.progress import duration
    from recurra.wording import percent

    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("network", "backend", "accuracy", "95% interval", "macro F1", "training"):
        text = column in ("network", "backend", "95% interval")
        shown.add_column(column, justify="left" if text else "right", no_wrap=True)
    for each in findings.summaries:
        shown.add_row(
            each.variant.model,
            Text(each.variant.backend),  # a name of a plugin, whatever stands in it
            percent(each.accuracy.mean, 2),
            f"{percent(each.interval.low, 2)} to {percent(each.interval.high, 2)}",
            f"{each.macro_f1.mean:.4f}",
            duration(each.seconds.mean),
        )
    return shown


def summary(comparison: Comparison) -> dict[str, Any]:
    """What `--json` prints of a comparison: its findings, and where it is."""
    from recurra.comparison.concluding import STAGE
    from recurra.durable import read_json

    found = read_json(comparison.artifact(STAGE).file("comparison.json"))
    plan, cached = found.pop("plan"), [done["cache"] for done in comparison.record["stages"].values()]
    return {
        "comparison": str(comparison.folder),
        "name": comparison.record["name"],
        **{name: plan[name] for name in ("backends", "models", "seeds")},
        **found,
        "stages": {"hit": cached.count("hit"), "miss": cached.count("miss")},
        "table": comparison.record["table"],
        "report": comparison.record["report"],
    }
