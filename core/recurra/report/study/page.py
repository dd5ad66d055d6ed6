"""What the page shows of a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recurra.config import resolved_yaml
from recurra.report.page import filled
from recurra.report.reproduction import gan_file, written
from recurra.report.study import plots, tables
from recurra.study.answer import QUESTION, part
from recurra.study.comparison import NAMES, SUBJECTS
from recurra.study.findings import Findings
from recurra.study.plan import Plan
from recurra.study.results import Row
from recurra.wording import plural

CONTENTS = [
    ("results", "Answer"),
    ("accuracy", "Accuracy"),
    ("differences", "Differences"),
    ("classes", "Classes"),
    ("trained", "What was trained"),
]
"""(id, title) of the page's own sections."""


def render(findings: Findings, rows: Sequence[Row]) -> str:
    """The report on a study: a whole page. Equal input gives equal bytes."""
    page = filled("study/template.html", ("style.css", "study/style.css"), content(findings, rows))
    # A path on the command line may hold bytes that are no text, and a page must be.
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def content(findings: Findings, rows: Sequence[Row]) -> dict[str, Any]:
    """What `study/template.html` is filled with."""
    plan = findings.plan
    reach = plots.reach_of(findings.comparisons)
    pairs = [(arm, against) for arm, against in plan.comparisons if (arm, against) != ("both", "real")]
    chosen = {
        pair: [each for each in findings.comparisons if (each.arm, each.against) == pair]
        for pair in sorted(pairs, key=_order)
    }
    return {
        "experiment": plan.experiment,
        "tags": _tags(findings),
        "contents": CONTENTS,
        "sections": [],
        "achieved": f"{QUESTION} {findings.answer}",
        "warnings": findings.warnings,
        "tiles": tables.tiles(findings, rows),
        "arms": [(arm, NAMES[arm]) for arm in plan.arms],
        "places": [part(fraction) for fraction in plan.fractions],
        "accuracy_plot": plots.accuracy_plot(findings.summaries),
        "accuracies": tables.accuracies(findings),
        "differences": [
            (_titled(SUBJECTS[pair]), _beside(pair), plots.differences_plot(own, reach)) for pair, own in chosen.items()
        ],
        "difference_rows": tables.differences(findings.comparisons),
        "class_tables": _class_tables(findings),
        "seed_count": len(plan.seeds),
        "same_test": findings.same_test,
        "trained": list(tables.trained(findings, rows)),
        "configurations": [("The recogniser", resolved_yaml(plan.experiment)), ("The GAN", resolved_yaml(plan.gan))],
        "digests": _digests(findings, rows),
        "reproduce": reproduce(plan),
    }


def _order(pair: tuple[str, str]) -> int:
    """What was asked for comes first."""
    return [("generated", "real"), ("both", "classical"), ("classical", "real")].index(pair)


def _titled(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}"


def _beside(pair: tuple[str, str]) -> str:
    return f"{NAMES[pair[0]]}, less {NAMES[pair[1]]}"


def _tags(findings: Findings) -> list[str]:
    plan = findings.plan
    return [
        "augmentation study",
        f"{plan.experiment.model.kind} network",
        f"{plan.experiment.backend} backend",
        plural(len(findings.classes), "class"),
        f"{plural(len(plan.fractions), 'fraction')} × {plural(len(plan.seeds), 'seed')}",
    ]


def _class_tables(findings: Findings) -> list[tuple[str, Any, int]]:
    """(title, rows, number of classes) of what generation changes."""
    shown = []
    for pair in (("generated", "real"), ("both", "classical")):
        if pair in findings.plan.comparisons:
            shown.append((_titled(SUBJECTS[pair]), *tables.class_changes(findings, *pair)))
    return shown


def _digests(findings: Findings, rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """(which training, its place in the artifact store, that of its evaluation)."""
    found = [
        (
            f"{part(row.fraction)}, seed {row.seed}, {NAMES[row.arm]}",
            f"train/{row.training}",
            f"evaluate/{row.evaluation}",
        )
        for row in rows
    ]
    gans = [
        (f"{part(each.fraction)}, seed {each.seed}, GAN", f"train/{each.training}", "") for each in findings.generators
    ]
    return [*gans, *found]


def reproduce(plan: Plan) -> str:
    """Shell commands that run the study again: both files with what differs from the defaults, and the study."""
    file, gan = f"{plan.experiment.name}.yaml", gan_file(plan.experiment, plan.gan)
    fractions = ",".join(f"{fraction:.12g}" for fraction in plan.fractions)
    seeds = ",".join(map(str, plan.seeds))
    command = f"recurra augment {file} --gan {gan} --fractions {fractions} --seeds {seeds}\n"
    return written(file, plan.experiment) + written(gan, plan.gan) + command
