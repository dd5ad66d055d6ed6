"""A study's tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np

from recurra.intervals import Interval
from recurra.progress import duration
from recurra.report.study.plots import VERDICTS
from recurra.report.tables import Tile
from recurra.study.answer import part
from recurra.study.comparison import NAMES, SUBJECTS, Comparison
from recurra.study.findings import ClassEffect, Findings
from recurra.study.results import Row
from recurra.wording import percent, plural, points

CLASSES = 40
"""Classes in a table at most; of more, those that change most are shown."""


@dataclass(frozen=True)
class Accuracy:
    """One arm on one fraction."""

    place: str
    arm: str
    name: str
    accuracy: str
    interval: str
    macro_f1: str
    log_loss: str
    seeds: str


@dataclass(frozen=True)
class Difference:
    """One comparison on one fraction."""

    place: str
    subject: str
    mean: str
    seeds: str
    samples: str
    verdict: str
    words: str


@dataclass(frozen=True)
class Change:
    """One class on one fraction."""

    shown: str
    interval: str
    sure: bool


@dataclass(frozen=True)
class Trained:
    """What was trained on one fraction."""

    place: str
    real: str
    generated: str
    epochs: str
    steps: str
    seconds: str
    gan: str


def tiles(findings: Findings, rows: Sequence[Row]) -> list[Tile]:
    """What the study consists of."""
    plan = findings.plan
    tests = {row.test_samples for row in rows}
    shown = f"{min(tests):,}" if len(tests) == 1 else f"{min(tests):,} to {max(tests):,}"
    seconds = fsum([*(row.seconds for row in rows), *(each.seconds for each in findings.generators)])
    return [
        Tile("Recognisers", f"{len(rows)}", f"and {plural(len(findings.generators), 'GAN')} beside them"),
        Tile("Seeds", f"{len(plan.seeds)}", f"of {plural(len(plan.fractions), 'fraction')} each"),
        Tile("Test samples", shown, "the same for all seeds" if findings.same_test else "each seed draws its own"),
        Tile("Training", duration(seconds), "of all networks"),
    ]


def accuracies(findings: Findings) -> list[Accuracy]:
    """A row for each fraction and arm."""
    return [
        Accuracy(
            place=part(each.fraction),
            arm=each.arm,
            name=NAMES[each.arm],
            accuracy=percent(each.mean),
            interval=f"{percent(each.interval.low)} to {percent(each.interval.high)}" if each.interval else "–",
            macro_f1=f"{each.macro_f1:.3f}",
            log_loss=f"{each.log_loss:.3f}",
            seeds=", ".join(percent(accuracy) for accuracy in each.accuracies),
        )
        for each in findings.summaries
    ]


def differences(comparisons: Sequence[Comparison]) -> list[Difference]:
    """A row for each comparison."""
    return [
        Difference(
            place=part(each.fraction),
            subject=SUBJECTS[each.arm, each.against],
            mean=points(each.mean),
            seeds=spread(each.over_seeds),
            samples=spread(each.over_samples),
            verdict=VERDICTS[each.verdict],
            words=each.words,
        )
        for each in comparisons
    ]


def spread(interval: Interval | None) -> str:
    """Of a difference, in percentage points."""
    return f"{points(interval.low)} to {points(interval.high)}" if interval else "–"


def class_changes(findings: Findings, arm: str, against: str) -> tuple[list[tuple[str, str, list[Change | None]]], int]:
    """((class, its test samples, its change on each fraction), how many classes there are); the hardest first."""
    effects = {
        (each.name, each.fraction): each for each in findings.effects if (each.arm, each.against) == (arm, against)
    }
    names = [name for name in findings.classes if any(key[0] == name for key in effects)]

    def recall(name: str) -> float:
        return float(np.mean([each.before for key, each in effects.items() if key[0] == name]))

    def support(name: str) -> str:
        return f"{np.mean([each.support for key, each in effects.items() if key[0] == name]):,.0f}"

    def change(name: str) -> float:
        return max(abs(each.difference) for key, each in effects.items() if key[0] == name)

    kept = sorted(names, key=change, reverse=True)[:CLASSES]
    rows = [
        (name, support(name), [_change(effects.get((name, fraction))) for fraction in findings.plan.fractions])
        for name in sorted(kept, key=recall)
    ]
    return rows, len(findings.classes)


def _change(each: ClassEffect | None) -> Change | None:
    if each is None:
        return None
    sure = each.interval is not None and 0.0 not in each.interval
    return Change(points(each.difference), spread(each.interval), sure)


def trained(findings: Findings, rows: Sequence[Row]) -> Iterator[Trained]:
    """A row for each fraction."""
    for fraction in findings.plan.fractions:
        own = [row for row in rows if row.fraction == fraction]
        plain, joined = ([row for row in own if bool(row.generated) is more] for more in (False, True))
        gans = [each for each in findings.generators if each.fraction == fraction]
        epochs, seconds = _range([each.epochs for each in gans]), float(np.mean([each.seconds for each in gans]))
        yield Trained(
            place=part(fraction),
            real=_range([row.real for row in own]),
            generated=_range([row.generated for row in joined]),
            epochs=f"{_range([row.epochs for row in plain])}; {_range([row.epochs for row in joined])}",
            steps=f"{_range([row.steps for row in plain])}; {_range([row.steps for row in joined])}",
            seconds=duration(float(np.mean([row.seconds for row in own]))),
            gan=f"{epochs} epochs, {duration(seconds)}",
        )


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
