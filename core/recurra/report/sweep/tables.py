"""A sweep's tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

from recurra.experiment import Experiment
from recurra.progress import duration
from recurra.report.tables import Tile
from recurra.sweep.findings import Findings
from recurra.sweep.space import shown
from recurra.sweep.trial import Trial
from recurra.sweep.words import MONITORED, measure
from recurra.wording import percent

ROWS = 500
"""Of the table of trials at most."""
ORDER = {"done": 0, "pruned": 1, "failed": 2, "waiting": 3}


@dataclass(frozen=True)
class Setting:
    """What was searched of one field."""

    field: str
    searched: str
    before: str
    """In the experiment file."""
    best: str


@dataclass(frozen=True)
class Row:
    """One trial."""

    number: int
    state: str
    value: str
    epochs: str
    seconds: str
    settings: tuple[str, ...]
    reason: str
    best: bool


def tiles(found: Findings) -> list[Tile]:
    """What the sweep came to."""
    best, test = found.best, found.test
    seconds = [trial.seconds for trial in found.trials if trial.seconds is not None]
    within = f"95% interval {percent(test['accuracy_low'])} to {percent(test['accuracy_high'])}"
    name = MONITORED[found.plan.monitored].capitalize()
    return [
        Tile(name, measure(found.plan, best.value), f"trial {best.number}, epoch {best.best_epoch}"),
        Tile("Test accuracy", percent(test["accuracy"]), within if "accuracy_low" in test else "of the best trial"),
        Tile("Trials", f"{len(found.trials):,}", counts(found)),
        Tile("Training", duration(fsum(seconds)), "of all trials together"),
    ]


def counts(found: Findings) -> str:
    """18 done, 10 pruned, 2 failed."""
    return ", ".join(f"{found.count(state):,} {state}" for state in ("done", "pruned", "failed") if found.count(state))


def settings(found: Findings) -> list[Setting]:
    """A row for each field that varies, the one that matters most first."""
    order, file, best = list(found.importances), found.plan.experiment, found.best.settings
    ranked = sorted(found.plan.space, key=lambda each: order.index(each.field) if each.field in order else len(order))
    return [
        Setting(each.field, each.words, shown(value_at(file, each.field)), shown(best[each.field])) for each in ranked
    ]


def value_at(experiment: Experiment, field: str) -> object:
    """The value of a field, by its dotted name; None below a part that is not there."""
    value: object = experiment.model_dump(mode="json")
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def trials(found: Findings) -> list[Row]:
    """The trials, the best first; those that were pruned and those that failed after them."""
    return [_row(found, trial) for trial in ranked(found)[:ROWS]]


def ranked(found: Findings) -> Sequence[Trial]:
    """All trials in that order."""
    sign = -1.0 if found.plan.rising else 1.0

    def place(trial: Trial) -> tuple[int, float, int]:
        last = trial.curve[-1][1] if trial.curve else 0.0
        value = last if trial.value is None else trial.value
        return ORDER[trial.state], sign * value, trial.number

    return sorted(found.trials, key=place)


def _row(found: Findings, trial: Trial) -> Row:
    best = f"{trial.best_epoch} of " if trial.best_epoch is not None else ""
    last = trial.curve[-1][1] if trial.state == "pruned" and trial.curve else trial.value
    return Row(
        number=trial.number,
        state=trial.state,
        value=measure(found.plan, last),
        epochs=f"{best}{trial.epochs}" if trial.epochs else "–",
        seconds=duration(trial.seconds) if trial.seconds else "–",
        settings=tuple(shown(trial.settings.get(each.field)) for each in found.plan.space),
        reason=trial.reason if trial.state == "failed" else "",
        best=trial.number == found.best.number,
    )
