"""`recurra augment`: does generation help recognition?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from recurra_flows.cli import output
from recurra_flows.cli.lists import numbers
from recurra_flows.cli.planned import perform
from recurra_flows.cli.stage_line import measured, stage_line
from recurra_flows.cli.where import Chosen, Where

if TYPE_CHECKING:
    from recurra.experiment import Experiment
    from recurra.home import Home
    from recurra.store import Outcome
    from recurra.study.plan import Plan
    from recurra.study.record import Study
    from recurra_flows.machines import Wanted


def augment(
    file: Path,
    /,
    *overrides: str,
    gan: Path | None = None,
    fractions: Annotated[str, Parameter(allow_leading_hyphen=True)] = "0.05,0.1,0.25,1.0",
    seeds: Annotated[str, Parameter(allow_leading_hyphen=True)] = "0,1,2",
    where: Chosen = Where(),  # noqa: B008 - frozen
    json: output.Json = False,
) -> int:
    """Study whether generated samples help a recogniser: train it with and without, on parts of the training data.

    For each part and seed four recognisers are trained, with as many steps: on real samples; on real and generated
    ones; with classical augmentation (data.augment); with both. Their GAN is trained on the same part. A study that was
    interrupted goes on with the same command.

    Parameters
    ----------
    file
        The recogniser's experiment file (YAML).
    overrides
        Fields to set otherwise, such as train.epochs=20 or data.augment.generated=2.
    gan
        The GAN's experiment file (YAML); left out: the one that data.augment.gan names.
    fractions
        Parts of the training data, separated by commas.
    seeds
        Separated by commas; each draws its own part, first weights and GAN.
    """
    from recurra.config import load_experiment
    from recurra.home import Home
    from recurra.study.plan import planned

    home, experiment = Home.default(), load_experiment(file, overrides)
    if gan is not None:
        experiment = _with_gan(experiment, gan)
    parts, drawn = numbers("--fractions", fractions, float), numbers("--seeds", seeds, int)
    return _study(home, planned(experiment, home, parts, drawn), file, json, where.wanted())


def _with_gan(experiment: Experiment, gan: Path) -> Experiment:
    augment = experiment.data.augment.model_copy(update={"gan": str(gan)})
    return experiment.model_copy(update={"data": experiment.data.model_copy(update={"augment": augment})})


def _study(home: Home, plan: Plan, file: Path, json: bool, wanted: Wanted) -> int:
    from recurra_flows.studying import execute

    home.made()
    done = perform(
        json,
        lambda: Display(plan, json),
        lambda display: execute(home, plan, display, file, output.DEBUG.get(), wanted),
    )
    if json:
        output.emit(summary(done))
    return 0


class Display:
    """Shows a study; on standard error where standard output is a program's."""

    def __init__(self, plan: Plan, json: bool) -> None:
        from recurra.progress import for_stream

        self.plan = plan
        self.progress = for_stream(sys.stderr)
        self.console = output.console(error=json)
        self.width = max(len(cell.role(arm, "evaluate")) for cell in plan.cells() for arm in plan.arms)
        self.record: Study | None = None

    def began(self, study: Study) -> None:
        """Its name, and what lies ahead."""
        from rich.text import Text

        self.record, plan = study, self.plan
        what = f"  {plan.trainings} trainings: {len(plan.fractions)} fractions, {len(plan.seeds)} seeds, "
        arms = f"{', '.join(plan.arms)}  "
        self.console.print(Text.assemble((plan.experiment.name, "bold"), what, arms, (f"study {study.id}", "dim")))
        if len(plan.arms) == 2:
            self.console.print("no classical augmentation (data.augment) in the experiment, so there are two arms")

    def stage_done(self, role: str, outcome: Outcome) -> None:
        """A line: the stage's role, whether it was a hit, its seconds, and what it came to or why it ran."""
        self.console.print(stage_line(role, self.width, outcome, measured(outcome)))

    def close(self) -> None:
        """Takes bars away."""
        self.progress.end()

    def finished(self, study: Study) -> None:
        """Its answer and its report."""
        from rich.text import Text

        self.console.print(Text.assemble("\n", (study.record["answer"], "bold")))
        self.console.print(Text.assemble("report ", (study.record["report"], "bold")))


def summary(study: Study) -> dict[str, Any]:
    """What `--json` prints of a study."""
    from recurra.durable import read_json
    from recurra.study.concluding import STAGE

    found = read_json(study.artifact(STAGE).file("study.json"))
    names = ("question", "answer", "arms", "summaries", "comparisons", "warnings", "generators")
    cached = [done["cache"] for done in study.record["stages"].values()]
    return {
        "study": str(study.folder),
        "name": study.record["name"],
        "fractions": list(study.plan.fractions),
        "seeds": list(study.plan.seeds),
        **{name: found[name] for name in names},
        "stages": {"hit": cached.count("hit"), "miss": cached.count("miss")},
        "table": study.record["table"],
        "report": study.record["report"],
    }
