"""How a run looks on the command line: its name, a line for each stage as it ends, its metrics, its report."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from recurra.experiment import Experiment
from recurra.progress import duration, for_stream
from recurra.run import STAGES, Run
from recurra.store import Outcome

HEADLINE = {"accuracy": "accuracy", "macro_f1": "macro F1", "log_loss": "log loss", "ece": "calibration error"}


class Display:
    """Shows one run; on standard error where standard output is a program's."""

    def __init__(self, experiment: Experiment, json: bool) -> None:
        self.experiment = experiment
        self.progress = for_stream(sys.stderr)
        self.console = Console(stderr=json, highlight=False, soft_wrap=True)
        self.run: Run | None = None

    def began(self, run: Run) -> None:
        """Its name."""
        self.run = run
        of = self.experiment
        self.console.print(
            Text.assemble((of.name, "bold"), f"  {of.model.kind} on {of.backend}  ", (f"run {run.id}", "dim"))
        )

    def stage_done(self, outcome: Outcome) -> None:
        """A line: the stage, whether it was a hit, its seconds, and why."""
        style = "green" if outcome.hit else "yellow"
        self.console.print(
            Text.assemble(
                f"{outcome.artifact.stage:<{max(map(len, STAGES))}}  ",
                (f"{outcome.cache:<4}", style),
                (f"  {duration(outcome.seconds):>12}", "cyan"),
                f"  {outcome.why}",
            )
        )

    def finished(self, run: Run) -> None:
        """Its metrics and its report."""
        shown = Text("\n")
        for name, value in run.record["metrics"].items():
            if name in HEADLINE:
                shown.append(f"{HEADLINE[name]} ")
                shown.append(f"{value:.4f}", "bold")
                shown.append(_interval(run.record["metrics"]) if name == "accuracy" else "")
                shown.append("   ")
        self.console.print(shown)
        self.console.print(Text.assemble("report ", (run.record["report"], "bold")))


def _interval(metrics: dict[str, Any]) -> str:
    if "accuracy_low" not in metrics:
        return ""
    return f" ({metrics['accuracy_low']:.3f} to {metrics['accuracy_high']:.3f})"
