"""What the Prefect dashboard shows of a run: its metrics, its report's summary, and how far its training is."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from recurra.durable import read_json
from recurra.experiment import Experiment
from recurra.run import Run
from recurra_flows.references import ArtifactRef

TABLES = {"accuracy": "Accuracies", "trials": "Trials"}
"""What the table of a conclusion is of -> its title."""


def artifact_key(experiment: Experiment, what: str) -> str:
    """The artifact's key, under which Prefect keeps its versions: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", f"{experiment.name} {experiment.backend} {what}".lower()).strip("-")


def publish(experiment: Experiment, evaluation: ArtifactRef, report: ArtifactRef) -> None:
    """The metrics and the report as artifacts of the flow run. Where that fails, the run is none the worse."""
    try:
        publish_metrics(experiment, evaluation)
        publish_report(experiment, report)
    except Exception:
        get_run_logger().warning("The metrics and the report could not be published as artifacts", exc_info=True)


def publish_metrics(experiment: Experiment, evaluation: ArtifactRef) -> None:
    """The metrics as a table artifact."""
    from recurra.report import metrics_table

    measured = read_json(evaluation.artifact().file("metrics.json"))
    create_table_artifact(
        metrics_table(measured), artifact_key(experiment, "metrics"), f"Test metrics of {experiment.name}"
    )


def publish_stages(run: Run, order: Iterable[str]) -> None:
    """What each stage did and why, as a table artifact of the flow run. Where that fails, the run is none the worse."""
    try:
        # The flow has a record of its own.
        stages = read_json(run.folder / run.FILE)["stages"]
        if rows := stages_table(stages, order):
            key = artifact_key(run.experiment, "stages" if run.NOUN == "run" else f"{run.NOUN} stages")
            create_table_artifact(rows, key, f"Stages of {run.record['name']}: what was made, what was found, and why")
    except Exception:
        get_run_logger().warning("The stages could not be published as an artifact", exc_info=True)


def stages_table(stages: Mapping[str, Mapping[str, Any]], order: Iterable[str]) -> list[dict[str, Any]]:
    """Rows of `stage`, `cache`, `why` and `seconds`, of a record's stages; those that `order` names come first."""
    return [
        {"stage": role, "cache": done["cache"], "why": done["why"], "seconds": round(done["seconds"], 1)}
        for role, done in ((role, stages[role]) for role in dict.fromkeys((*order, *stages)) if role in stages)
    ]


def publish_report(experiment: Experiment, report: ArtifactRef, what: str = "report") -> None:
    """The report's summary and plots as a markdown artifact; `what` names it. Where reports are served, a link to the
    whole one as well.
    """
    made, titled = report.artifact(), f"{what.capitalize()} of {experiment.name}"
    link = served(report)
    whole = f"[The whole report]({link})" if link else f"The whole report: `{made.file('report.html')}`"
    summary = made.file("summary.md").read_text(encoding="utf-8")
    create_markdown_artifact(f"{summary}\n\n{whole}\n", artifact_key(experiment, what), titled)
    if link:
        create_link_artifact(link, titled, artifact_key(experiment, f"{what} link"), f"{titled}, the whole page")


def served(report: ArtifactRef) -> str | None:
    """Where the report is served; None where nobody serves it. `recurra up` puts the place into the environment: a path
    of the server that the dashboard came from, which stays right when that has another port.
    """
    place = os.environ.get("RECURRA_REPORTS")
    return f"{place.rstrip('/')}/{report.stage}/{report.key}/report.html" if place else None


def publish_predictions(experiment: Experiment, answer: Mapping[str, Any]) -> None:
    """The first of what was predicted as a table artifact. Where that fails, the work is none the worse."""
    try:
        counted = f"{answer['predicted']:,} samples recognised, the first of them; all are in {answer['out']}"
        create_table_artifact(list(answer["first"]), artifact_key(experiment, "predictions"), counted)
    except Exception:
        get_run_logger().warning("The predictions could not be published as an artifact", exc_info=True)


def publish_conclusion(
    experiment: Experiment, conclusion: ArtifactRef, table: str, rows: Callable[[Any], list[dict[str, Any]]]
) -> None:
    """What several experiments come to, as artifacts of the flow run: the summary, and a table of `rows`, which are
    made from the findings' JSON. Where that fails, the work is none the worse.
    """
    noun = conclusion.stage
    try:
        found = read_json(conclusion.artifact().file(f"{noun}.json"))
        key = artifact_key(experiment, f"{noun}-{table}")
        create_table_artifact(rows(found), key, f"{TABLES[table]} of {experiment.name}")
        publish_report(experiment, conclusion, noun)
    except Exception:
        get_run_logger().warning(f"The {noun} could not be published as artifacts", exc_info=True)
