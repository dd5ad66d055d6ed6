"""The sweep stage: what the trials come to, as sweep.parquet, sweep.json, best.yaml, a page and its summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from recurra.store import Artifact, Outcome, Store
from recurra.sweep.plan import Plan
from recurra.sweep.trial import Trial

STAGE = "sweep"
BEST = "best.yaml"


def sweep_inputs(
    plan: Plan, trials: Sequence[Trial], importances: Mapping[str, float], artifacts: Mapping[str, Artifact]
) -> dict[str, Any]:
    """What a sweep's conclusion is made from: the plan, its trials, and the artifacts of the best one by role."""
    return {
        "settings": plan.model_dump(mode="json"),
        "trials": [trial.to_json() for trial in trials],
        "importances": dict(importances),
        "from": {role: artifact.digest for role, artifact in artifacts.items()},
        "versions": {"recurra": version("recurra"), "optuna": version("optuna")},
    }


def conclude(
    plan: Plan,
    store: Store,
    trials: Sequence[Trial],
    importances: Mapping[str, float],
    artifacts: Mapping[str, Artifact],
) -> Outcome:
    """The conclusion. Of the best trial there are, by role: preprocess, train, evaluate."""

    def make(folder: Path) -> None:
        from recurra.durable import write_json
        from recurra.report.sweep import render, summary_markdown
        from recurra.sweep.best_file import best_file
        from recurra.sweep.findings import find
        from recurra.sweep.trial import write_trials

        found = find(plan, trials, importances, artifacts)
        write_trials(folder / "sweep.parquet", plan, trials)
        write_json(folder / "sweep.json", found.to_json())
        (folder / BEST).write_text(best_file(found), encoding="utf-8")
        (folder / "report.html").write_text(render(found), encoding="utf-8")
        (folder / "summary.md").write_text(summary_markdown(found), encoding="utf-8")

    return store.obtain(STAGE, sweep_inputs(plan, trials, importances, artifacts), make, name=plan.experiment.name)
