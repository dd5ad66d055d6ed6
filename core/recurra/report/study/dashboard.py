"""What a dashboard shows of a study: a page of Markdown, and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recurra.report.plotting import plain
from recurra.report.study import tables
from recurra.study.answer import QUESTION
from recurra.study.findings import Findings
from recurra.study.results import Row


def accuracy_table(findings: Findings) -> list[dict[str, Any]]:
    """A row for each fraction and arm: the accuracy, its 95% interval over seeds, and the difference to `real`."""
    against = {(each.fraction, each.arm): each for each in findings.comparisons if each.against == "real"}
    rows = []
    for each in findings.summaries:
        compared = against.get((each.fraction, each.arm))
        rows.append({
            "fraction": each.fraction,
            "arm": each.arm,
            "accuracy": round(each.mean, 6),
            "low": round(each.interval.low, 6) if each.interval else None,
            "high": round(each.interval.high, 6) if each.interval else None,
            "difference": round(compared.mean, 6) if compared else None,
            "verdict": compared.verdict if compared else None,
        })  # fmt: skip
    return rows


def summary_markdown(findings: Findings, rows: Sequence[Row]) -> str:
    """The question, the answer, the accuracies and the differences."""
    lines = [f"# {plain(findings.plan.experiment.name)}", "", f"**{QUESTION}** {findings.answer}", ""]
    lines += [f"> {plain(line)}\n" for line in findings.warnings]
    lines += ["## Accuracy", "", "| Of the data | Trained on | Accuracy | 95% interval | Macro F1 |"]
    lines += ["| --- | --- | ---: | --- | ---: |"]
    lines += [
        f"| {each.place} | {each.name} | {each.accuracy} | {each.interval} | {each.macro_f1} |"
        for each in tables.accuracies(findings)
    ]
    lines += ["", "## Differences in accuracy (points)", ""]
    lines += [
        "| Of the data | What | Difference | over seeds | over test samples | |",
        "| --- | --- | ---: | --- | --- | --- |",
    ]
    lines += [
        f"| {each.place} | {each.subject} | {each.mean} | {each.seeds} | {each.samples} | {each.verdict} |"
        for each in tables.differences(findings.comparisons)
    ]
    trainings = len(rows) + len(findings.generators)
    return "\n".join([*lines, "", f"{trainings} trainings; both intervals are of 95%."]) + "\n"
