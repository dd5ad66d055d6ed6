"""What the page shows of a sweep."""

from __future__ import annotations

import shlex
from typing import Any

from recurra.config import resolved_yaml
from recurra.report.page import filled
from recurra.report.reproduction import written
from recurra.report.sweep import plots, settings, tables
from recurra.sweep.best_file import best_file
from recurra.sweep.findings import FEW, Findings
from recurra.sweep.plan import Plan
from recurra.sweep.search import STARTUP, WARMUP
from recurra.sweep.words import MONITORED, SAMPLERS
from recurra.wording import percent, plural

CONTENTS = [
    ("results", "Answer"),
    ("best", "The best settings"),
    ("search", "The search"),
    ("matters", "What matters"),
    ("trials", "Trials"),
]
"""(id, title) of the page's own sections."""


def render(found: Findings) -> str:
    """The report on a sweep: a whole page. Equal input gives equal bytes."""
    page = filled("sweep/template.html", ("style.css", "sweep/style.css"), content(found))
    # A path on the command line may hold bytes that are no text, and a page must be.
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def content(found: Findings) -> dict[str, Any]:
    """What `sweep/template.html` is filled with."""
    plan = found.plan
    return {
        "experiment": plan.experiment,
        "tags": _tags(found),
        "contents": CONTENTS,
        "sections": [],
        "achieved": found.answer,
        "warnings": found.warnings,
        "tiles": tables.tiles(found),
        "plan": plan,
        "monitored": MONITORED[plan.monitored],
        "sampler": SAMPLERS[plan.sampler],
        "counts": {state: found.count(state) for state in ("done", "pruned", "failed")},
        "startup": STARTUP,
        "warmup": max(2, round(WARMUP * plan.experiment.train.epochs)),
        "few": FEW,
        "settings": tables.settings(found),
        "best_file": best_file(found),
        "history_plot": plots.history_plot(found),
        "curves_plot": plots.curves_plot(found) if any(trial.curve for trial in found.trials) else None,
        "importances": [(field, percent(share, 0)) for field, share in found.importances.items()],
        "importance_plot": settings.importance_plot(found) if found.importances else None,
        "slices": settings.slices(found),
        "parallel_plot": settings.parallel_plot(found) if len(plan.space) > 1 and found.count("done") > 1 else None,
        "fields": [each.field.rpartition(".")[::2] for each in plan.space],
        "trials": tables.trials(found),
        "trial_count": len(found.trials),
        "any_reason": any(row.reason for row in tables.trials(found)),
        "validation_samples": found.validation_samples,
        "test_samples": found.test_samples,
        "configuration": resolved_yaml(found.experiment),
        "digests": [
            ("Dataset", f"preprocess/{found.dataset}"),
            ("Best training", f"train/{found.best.training}"),
            ("Its evaluation", f"evaluate/{found.evaluation}"),
        ],
        "reproduce": reproduce(plan),
    }


def _tags(found: Findings) -> list[str]:
    plan = found.plan
    return [
        "sweep",
        f"{found.experiment.model.kind} network",
        f"{found.experiment.backend} backend",
        f"{plural(len(plan.space), 'setting')}",
        plan.sampler if plan.sampler != "tpe" else "TPE",
    ]


def reproduce(plan: Plan) -> str:
    """Shell commands that run the sweep again: the file with what differs from the defaults, and the sweep."""
    file = f"{plan.experiment.name}.yaml"
    asked = " ".join(shlex.quote(each.spelled) for each in plan.space)
    further = [f"--trials {plan.trials}", *([f"--sampler {plan.sampler}"] if plan.sampler != "tpe" else [])]
    further += [] if plan.prune else ["--no-prune"]
    return f"{written(file, plan.experiment)}recurra sweep {file} {asked} {' '.join(further)}\n"
