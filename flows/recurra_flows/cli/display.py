"""How a run looks on the command line: its name, a line for each stage as it ends, its metrics, its report."""

from __future__ import annotations

import sys
from typing import Any

from rich.text import Text

from recurra.experiment import Experiment
from recurra.progress import for_stream
from recurra.run import Run
from recurra.run_record import stages_of
from recurra.store import Outcome
from recurra_flows.cli import output
from recurra_flows.cli.stage_line import stage_line

RECOGNISER = {"accuracy": "accuracy", "macro_f1": "macro F1", "log_loss": "log loss", "ece": "calibration error"}
GAN = {"tstr": "trained on generated", "trts": "recognised as intended", "frechet": "frechet"}


class Display:
    """Shows one run; on standard error where standard output is a program's."""

    def __init__(self, experiment: Experiment, json: bool) -> None:
        self.experiment = experiment
        self.progress = for_stream(sys.stderr)
        self.console = output.console(error=json)
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
        self.console.print(stage_line(role, self.width, outcome))

    def finished(self, run: Run) -> None:
        """Its metrics and its report."""
        metrics = run.record["metrics"]
        labels = {name: label for name, label in {**RECOGNISER, **GAN}.items() if name in metrics}
        parts = [Text.assemble(f"{label} ", (_shown(name, metrics[name]), "bold")) for name, label in labels.items()]
        for name, part in zip(labels, parts, strict=True):
            part.append(_beside(name, metrics))
        self.console.print(Text("\n").append_text(Text("   ").join(parts)))
        self.console.print(Text.assemble("report ", (run.record["report"], "bold")))


def _shown(name: str, value: float) -> str:
    return f"{value:{'.4f' if name in RECOGNISER else '.1f' if name == 'frechet' else '.2f'}}"


def _beside(name: str, metrics: dict[str, Any]) -> str:
    """What a number has to be read with: its interval, or what real samples come to."""
    if name == "tstr" and "trtr" in metrics:
        return f" (on real {_shown(name, metrics['trtr'])})"
    if f"{name}_floor" in metrics:
        return f" (real {_shown(name, metrics[f'{name}_floor'])})"
    if f"{name}_low" in metrics:
        return f" ({metrics[f'{name}_low']:.3f} to {metrics[f'{name}_high']:.3f})"
    return ""
