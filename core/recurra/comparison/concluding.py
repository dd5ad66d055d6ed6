"""The comparison stage: what all trainings come to, as comparison.parquet, comparison.json, a page and its summary."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from recurra.comparison.plan import Plan
from recurra.store import Artifact, Outcome, Store

STAGE = "comparison"


def comparison_inputs(plan: Plan, artifacts: Mapping[str, Artifact]) -> dict[str, Any]:
    """What a comparison's conclusion is made from: the plan, and the artifacts of all `plan.roles()`."""
    return {
        "settings": plan.model_dump(mode="json"),
        "from": {role: artifacts[role].digest for role in plan.roles()},
        "versions": {"recurra": version("recurra")},
    }


def conclude(plan: Plan, store: Store, artifacts: Mapping[str, Artifact]) -> Outcome:
    """The conclusion. `artifacts`: those of all `plan.roles()`, of each cell preprocess, train and evaluate, and the
    probes.
    """

    def make(folder: Path) -> None:
        from recurra.comparison.findings import find
        from recurra.comparison.results import Results, write_rows
        from recurra.durable import write_json
        from recurra.report.comparison import render, summary_markdown

        findings, evidence = find(Results(plan, artifacts))
        write_rows(folder / "comparison.parquet", evidence.rows)
        write_json(folder / "comparison.json", findings.to_json())
        (folder / "report.html").write_text(render(findings, evidence), encoding="utf-8")
        (folder / "summary.md").write_text(summary_markdown(findings), encoding="utf-8")

    return store.obtain(STAGE, comparison_inputs(plan, artifacts), make, name=plan.experiment.name)
