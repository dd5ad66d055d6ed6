"""What a dashboard shows of a comparison: a page of Markdown, and a table."""

from __future__ import annotations

from typing import Any

from recurra.comparison.findings import Findings
from recurra.report.comparison import tables
from recurra.report.plotting import plain


def accuracy_table(findings: Findings) -> list[dict[str, Any]]:
    """A row for each variant: the accuracy with its 95% interval, and what a training cost."""
    return [
        {
            "network": each.variant.model,
            "backend": each.variant.backend,
            "accuracy": round(each.accuracy.mean, 6),
            "low": round(each.interval.low, 6),
            "high": round(each.interval.high, 6),
            "macro_f1": round(each.macro_f1.mean, 6),
            "log_loss": round(each.log_loss.mean, 6),
            "seconds": round(each.seconds.mean, 3),
            "samples_per_second": round(each.samples_per_second, 1),
            "peak_memory": each.peak_memory,
            "parameters": each.parameters,
        }
        for each in findings.summaries
    ]


def summary_markdown(findings: Findings) -> str:
    """The question, the answer, the accuracies, the differences and the backends' arithmetic."""
    lines = [f"# {plain(findings.plan.experiment.name)}", "", f"**{findings.question}** {plain(findings.told[0])}", ""]
    lines += [f"- {plain(line)}" for line in findings.told[1:]] + [""]
    lines += [f"> {plain(line)}\n" for line in findings.warnings]
    lines += ["## Accuracy", "", "| Network | Backend | Accuracy | 95% interval | Macro F1 | Training | Peak memory |"]
    lines += ["| --- | --- | ---: | --- | ---: | ---: | ---: |"]
    lines += [
        f"| {each.model} | {plain(each.backend)} | {each.accuracy} | {each.interval} | {each.macro_f1} | {each.time}"
        f" | {each.memory} |"
        for each in tables.standings(findings)["accuracy"]
    ]
    return "\n".join([*lines, *_differences(findings), *_arithmetic(findings)]) + "\n"


def _differences(findings: Findings) -> list[str]:
    if not findings.pairs:
        return []
    head = ["", "## Differences in accuracy (points)", "", "| First | Second | Difference | p (Holm) | Alike | |"]
    rows = [
        f"| {plain(each.first)} | {plain(each.second)} | {each.mean} | {plain(each.adjusted)} | {each.agreement}"
        f" | {plain(each.verdict)} |"
        for each in tables.differences(findings.pairs)
    ]
    return [*head, "| --- | --- | ---: | ---: | ---: | --- |", *rows]


def _arithmetic(findings: Findings) -> list[str]:
    if not findings.parities:
        return []
    head = ["", f"## With equal weights, beside {plain(findings.plan.backends[0])}", ""]
    head += ["| Network | Backend | Logits | Gradient | |", "| --- | --- | ---: | ---: | --- |"]
    rows = [
        f"| {each.model} | {plain(each.backend)} | {each.relative} | {each.gradient} | {each.words} |"
        for each in tables.arithmetic(findings)
    ]
    return head + rows
