"""What the page shows of a comparison."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from recurra.comparison.findings import Evidence, Findings
from recurra.comparison.plan import Plan
from recurra.config import resolved_yaml
from recurra.report.comparison import agreement, plots, tables
from recurra.report.confusion import confusion_matrix
from recurra.report.page import filled
from recurra.report.reproduction import written
from recurra.wording import plural

READABLE = 20
"""Classes up to which matrices stand beside each other."""
MATRICES = 12
"""Variants up to which each has one."""


def render(findings: Findings, evidence: Evidence) -> str:
    """The report on a comparison: a whole page. Equal input gives equal bytes."""
    page = filled("comparison/template.html", ("style.css", "comparison/style.css"), content(findings, evidence))
    # A path on the command line may hold bytes that are no text, and a page must be.
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def content(findings: Findings, evidence: Evidence) -> dict[str, Any]:
    """What `comparison/template.html` is filled with."""
    plan, several = findings.plan, len(findings.summaries) > 1
    return {
        "experiment": plan.experiment,
        "tags": _tags(findings),
        "contents": list(_contents(findings)),
        "sections": [],
        "achieved": f"{findings.question} {findings.told[0]}",
        "further": findings.told[1:],
        "warnings": findings.warnings,
        "tiles": tables.tiles(findings, evidence),
        "backends": [(plots.style_of(plan, backend), backend) for backend in plan.backends],
        "seed_count": len(plan.seeds),
        "accuracy_plot": plots.accuracy_plot(findings),
        "orders": tables.standings(findings),
        "headings": {name: heading for name, (heading, _) in tables.ORDERS.items()},
        "differences_plot": plots.differences_plot(findings.pairs) if several else None,
        "drawn": plots.DRAWN,
        "undrawn": max(0, sum(pair.alone for pair in findings.pairs) - plots.DRAWN),
        "differences": tables.differences(findings.pairs),
        "pair_count": len(findings.pairs),
        "learning": list(plots.learning_plots(findings, evidence)),
        "keep": plan.experiment.train.keep,
        "arithmetic": list(tables.arithmetic(findings)),
        "reference": plan.backends[0],
        "others": [(plots.style_of(plan, backend), backend) for backend in plan.backends[1:]],
        "parting": list(plots.parting_plots(findings)) if findings.parities else [],
        "dropout": bool(plan.experiment.train.dropout),
        "agreement": _agreement(findings) if several else None,
        "matrices": list(_matrices(findings, evidence)),
        "class_count": len(findings.classes),
        "costs": list(tables.costs(findings)),
        "energy": any(each.energy_joules is not None for each in findings.summaries),
        "same_test": findings.same_test,
        "configurations": [("The experiment", resolved_yaml(plan.experiment))],
        "digests": _digests(evidence),
        "reproduce": reproduce(plan),
    }


def _contents(findings: Findings) -> Iterator[tuple[str, str]]:
    """(id, title) of the page's own sections."""
    several = len(findings.summaries) > 1
    yield "results", "Answer"
    yield "accuracy", "Accuracy"
    if several:
        yield "differences", "Differences"
    yield "learning", "Learning"
    if findings.parities:
        yield "parity", "Arithmetic"
    if several:
        yield "agreement", "Agreement"
    yield "confusions", "Confusions"
    yield "costs", "What it cost"


def _tags(findings: Findings) -> list[str]:
    plan = findings.plan
    return [
        "comparison",
        plural(len(plan.models), "network"),
        plural(len(plan.backends), "backend"),
        plural(len(plan.seeds), "seed"),
        plural(len(findings.classes), "class"),
    ]


def _agreement(findings: Findings) -> Markup | None:
    readable = len(findings.summaries) <= agreement.LARGEST
    return agreement.agreement_matrix(findings.summaries, findings.pairs) if readable else None


def _matrices(findings: Findings, evidence: Evidence) -> Iterator[tuple[str, Markup]]:
    """(variant, its confusion matrix over all seeds), where they can be read."""
    if len(findings.classes) <= READABLE and len(findings.summaries) <= MATRICES:
        for variant, confusion in evidence.confusions.items():
            yield variant.words, confusion_matrix(confusion, findings.classes, compact=True)


def _digests(evidence: Evidence) -> list[tuple[str, str, str]]:
    """(which training, its place in the artifact store, that of its evaluation)."""
    return [
        (f"{row.model} on {row.backend}, seed {row.seed}", f"train/{row.training}", f"evaluate/{row.evaluation}")
        for row in evidence.rows
    ]


def reproduce(plan: Plan) -> str:
    """Shell commands that run the comparison again: the file with what differs from the defaults, and the command."""
    file = f"{plan.experiment.name}.yaml"
    asked = {"backends": plan.backends, "models": plan.models, "seeds": plan.seeds}
    options = " ".join(f"--{name} {shlex.quote(','.join(map(str, values)))}" for name, values in asked.items())
    return f"{written(file, plan.experiment)}recurra compare {file} {options}\n"
