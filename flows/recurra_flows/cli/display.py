"""How a run looks on the command line: its name, a line for each stage as it ends, its metrics, its report."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from recurra.experiment import Experiment
from recurra.progress import duration, for_stream
from recurra.run import Run
from recurra.run_record import stages_of
from recurra.store import Outcome

HEADLINE = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "log_loss": "log loss",
    "ece": "calibration error",
    "tstr": "TSTR accuracy",
    "trts": "TRTS accuracy",
    "frechet": "Frechet distance",
}
DISTANCES = ("frechet",)


class Display:
    """Shows one run; on standard error where standard output is a program's."""

    def __init__(self, experiment: Experiment, json: bool) -> None:
        self.experiment = experiment
        self.progress = for_stream(sys.stderr)
        self.console = Console(stderr=json, highlight=False, soft_wrap=True)
        self.run: Run | None = None
        self.width = max(map(len, stages_of(experiment)))

    def began(self, run: Run) -> None:
        """Its name."""
        self.run = run
        of = self.experiment
        self.console.print(
            Text.assemble((of.name, "bold"), f"  {of.model.kind} on {of.backend}  ", (f"run {run.id}", "dim"))
        )

    def stage_done(self, role: str, outcome: Outcome) -> None:
        """A line: the stage's role, whether it was a hit, its seconds, and why."""
        style = "green" if outcome.hit else "yellow"
        self.console.print(
            Text.assemble(
                f"{role:<{self.width}}  ",
                (f"{outcome.cache:<4}", style),
                (f"  {duration(outcome.seconds):>12}", "cyan"),
                f"  {outcome.why}",
            )
        )

    def finished(self, run: Run) -> None:
        """Its metrics and its report."""
        shown, metrics = Text("\n"), run.record["metrics"]
        for name, label in HEADLINE.items():
            if name in metrics:
                shown.append(f"{label} ")
                shown.append(f"{metrics[name]:{'.2f' if name in DISTANCES else '.4f'}}", "bold")
                shown.append(f"{_beside(name, metrics)}   ")
        self.console.print(shown)
        self.console.print(Text.assemble("report ", (run.record["report"], "bold")))


def _beside(name: str, metrics: dict[str, Any]) -> str:
    """What a number has to be read with: its interval, and what real samples come to."""
    parts = []
    if f"{name}_low" in metrics:
        parts.append(f"{metrics[f'{name}_low']:.3f} to {metrics[f'{name}_high']:.3f}")
    if name == "tstr" and "trtr" in metrics:
        parts.append(f"trained on real samples {metrics['trtr']:.4f}")
    if f"{name}_floor" in metrics:
        parts.append(f"of real samples {metrics[f'{name}_floor']:.2f}")
    return f" ({'; '.join(parts)})" if parts else ""
