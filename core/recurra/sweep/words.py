"""A sweep's findings in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recurra.sweep.space import shown
from recurra.wording import listed, percent

if TYPE_CHECKING:
    from recurra.sweep.findings import Findings
    from recurra.sweep.plan import Plan
    from recurra.sweep.trial import Trial

MONITORED = {"val_accuracy": "validation accuracy", "val_loss": "validation loss"}
SAMPLERS = {
    "tpe": "tree-structured Parzen estimator (TPE)",
    "random": "random search",
    "grid": "grid, in an order that was drawn",
}


def answer(found: Findings) -> str:
    """The best settings, and what they come to."""
    plan, best = found.plan, found.best
    assert best.value is not None
    of = "only trial that was done" if found.count("done") == 1 else f"best of {len(found.trials):,} trials"
    settings = listed([f"{field} {shown(value)}" for field, value in best.settings.items()])
    by = f"{MONITORED[plan.monitored]} ({measure(plan, best.value)})"
    tested = f"On the test split, which chose nothing, it recognises {percent(found.test['accuracy'])}."
    return f"The {of} by {by} has {settings}. {tested}"


def measure(plan: Plan, value: float | None) -> str:
    """A value of what is monitored: 97.2%, or 0.0834."""
    if value is None:
        return "–"
    return percent(value) if plan.monitored == "val_accuracy" else f"{value:.4f}"


def told(plan: Plan, trial: Trial, best: bool) -> str:
    """A trial that has ended, in a line."""
    came = {"done": measure(plan, trial.value), "pruned": trial.reason}.get(trial.state, trial.state)
    settings = "  ".join(f"{field}={shown(value)}" for field, value in trial.settings.items())
    why = f": {trial.reason}" if trial.state == "failed" else ""
    return f"trial {trial.number}: {came}{'  best so far' if best else ''}  {settings}{why}"
