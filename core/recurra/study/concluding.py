"""The study stage: what the trainings of a study come to, as study.parquet, study.json, a page and its summary."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from recurra.store import Artifact, Outcome, Store
from recurra.study.plan import Plan

STAGE = "study"


def study_inputs(plan: Plan, artifacts: Mapping[str, Artifact]) -> dict[str, Any]:
    """What a study's conclusion is made from: the plan, and the artifacts of all its cells by role (`Cell.role`)."""
    return {
        "settings": plan.model_dump(mode="json"),
        "from": {role: artifact.digest for role, artifact in artifacts.items()},
        "versions": {"recurra": version("recurra")},
    }


def conclude(plan: Plan, store: Store, artifacts: Mapping[str, Artifact]) -> Outcome:
    """The conclusion. Of each cell there are, by role: preprocess, recogniser, gan, generate, augment, and of each arm
    train and evaluate.
    """

    def make(folder: Path) -> None:
        from recurra.durable import write_json
        from recurra.report.study import render, summary_markdown
        from recurra.study.findings import find
        from recurra.study.results import Results, write_rows

        findings, rows = find(Results(plan, artifacts))
        write_rows(folder / "study.parquet", rows)
        write_json(folder / "study.json", findings.to_json())
        (folder / "report.html").write_text(render(findings, rows), encoding="utf-8")
        (folder / "summary.md").write_text(summary_markdown(findings, rows), encoding="utf-8")

    return store.obtain(STAGE, study_inputs(plan, artifacts), make, name=plan.experiment.name)
