"""What a dashboard shows of a sweep: a page of Markdown, and a table."""

from __future__ import annotations

import re
from typing import Any

from recurra.report.plotting import plain
from recurra.report.sweep import tables
from recurra.sweep.best_file import best_file
from recurra.sweep.findings import Findings
from recurra.sweep.space import shown
from recurra.sweep.words import MONITORED
from recurra.wording import percent, plural

SHOWN = 20
"""Trials in the page's table."""


def trials_table(found: Findings) -> list[dict[str, Any]]:
    """A row for each trial, the best first."""
    return [
        {
            "trial": trial.number,
            "state": trial.state,
            found.plan.monitored: None if trial.value is None else round(trial.value, 6),
            **{field: shown(value) for field, value in trial.settings.items()},
            "epochs": trial.epochs,
            "seconds": None if trial.seconds is None else round(trial.seconds, 1),
            "reason": trial.reason,
        }
        for trial in tables.ranked(found)
    ]


def summary_markdown(found: Findings) -> str:
    """The answer, the best settings, what matters, the best trials and the best trial's file."""
    title = f"# {plain(found.plan.experiment.name)}: a sweep of {plural(len(found.trials), 'trial')}"
    lines = [title, "", plain(found.answer), "", *(f"> {plain(line)}\n" for line in found.warnings)]
    lines += ["## Settings", "", "| Field | Searched | In the file | Best | Matters |"]
    lines += ["| --- | --- | --- | --- | ---: |"]
    lines += [
        f"| {plain(each.field)} | {plain(each.searched)} | {plain(each.before)} | **{plain(each.best)}** |"
        f" {percent(found.importances[each.field], 0) if each.field in found.importances else ''} |"
        for each in tables.settings(found)
    ]
    fields = [each.field for each in found.plan.space]
    head = " | ".join(map(plain, ("Trial", "", MONITORED[found.plan.monitored], *fields)))
    lines += ["", "## Trials", "", f"| {head} |"]
    lines += ["| ---: | --- | ---: |" + " --- |" * len(fields)]
    lines += [
        f"| {row.number} | {row.state} | {row.value} | {' | '.join(map(plain, row.settings))} |"
        for row in tables.trials(found)[:SHOWN]
    ]
    if len(found.trials) > SHOWN:
        lines += ["", f"{SHOWN} of {len(found.trials):,} trials; the report has the others."]
    text = best_file(found)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=2))
    return "\n".join([*lines, "", "## The best as an experiment file", "", f"{fence}yaml", f"{text}{fence}", ""])
