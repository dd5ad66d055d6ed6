"""What a study found: the arms, their differences, the classes, and what to know before believing any of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from recurra.intervals import Interval, over_seeds
from recurra.study.answer import QUESTION, answer
from recurra.study.caveats import caveats
from recurra.study.comparison import Answered, Comparison, compared
from recurra.study.plan import Plan
from recurra.study.results import Generator, Results, Row

SCHEMA = 1
Answers = Mapping[tuple[str, int], Answered]
"""(arm, seed) -> which test samples were right."""


@dataclass(frozen=True)
class Summary:
    """The accuracy of one arm on one fraction."""

    fraction: float
    arm: str
    accuracies: tuple[float, ...]
    """One a seed."""
    interval: Interval | None
    """Of the mean, over seeds; None for a single seed."""
    macro_f1: float
    """Mean over seeds."""
    log_loss: float
    """Mean over seeds."""

    @property
    def mean(self) -> float:
        """Mean accuracy over seeds."""
        return float(np.mean(self.accuracies))


@dataclass(frozen=True)
class ClassEffect:
    """What an arm changed for the samples of one class, on one fraction."""

    fraction: float
    arm: str
    against: str
    name: str
    before: float
    """Mean recall in the arm that it is compared with."""
    difference: float
    """Mean difference in recall."""
    interval: Interval | None
    """Of the difference, over seeds and over the class's test samples together; None for a single seed."""
    support: float
    """Mean number of test samples."""


@dataclass(frozen=True)
class Findings:
    """All of it."""

    plan: Plan
    classes: tuple[str, ...]
    summaries: tuple[Summary, ...]
    comparisons: tuple[Comparison, ...]
    effects: tuple[ClassEffect, ...]
    generators: tuple[Generator, ...]
    warnings: tuple[str, ...]
    same_test: bool
    """Whether every seed has the same test split."""

    @property
    def answer(self) -> str:
        """The answer in one sentence."""
        return answer(self.comparisons)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `json.dumps(..., allow_nan=False)`."""
        names = ("summaries", "effects", "generators")
        return {
            "schema": SCHEMA,
            "question": QUESTION,
            "answer": self.answer,
            "plan": self.plan.model_dump(mode="json"),
            "arms": list(self.plan.arms),
            "classes": list(self.classes),
            "comparisons": [comparison.to_json() for comparison in self.comparisons],
            "warnings": list(self.warnings),
            "same_test": self.same_test,
            **{name: [asdict(each) for each in getattr(self, name)] for name in names},
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Findings:
        """What `to_json` gave."""
        return cls(
            plan=Plan.model_validate(value["plan"]),
            classes=tuple(value["classes"]),
            summaries=tuple(Summary(**_with_interval(each, "accuracies")) for each in value["summaries"]),
            comparisons=tuple(Comparison.from_json(each) for each in value["comparisons"]),
            effects=tuple(ClassEffect(**_with_interval(each)) for each in value["effects"]),
            generators=tuple(
                Generator(**{**each, "symptoms": tuple(each["symptoms"])}) for each in value["generators"]
            ),
            warnings=tuple(value["warnings"]),
            same_test=value["same_test"],
        )


def _with_interval(value: dict[str, Any], *tuples: str) -> dict[str, Any]:
    interval = Interval(**value["interval"]) if value["interval"] else None
    return {**value, "interval": interval, **{name: tuple(value[name]) for name in tuples}}


def find(results: Results) -> tuple[Findings, list[Row]]:
    """The findings, and the rows that they are made from."""
    plan, rows, generators = results.plan, results.rows(), results.generators()
    comparisons, effects, same_test = [], [], True
    for fraction in plan.fractions:
        answered = results.answered(fraction)
        splits = [set(answered["real", seed].samples.tolist()) for seed in plan.seeds]
        same_test = same_test and all(split == splits[0] for split in splits)
        for arm, against in plan.comparisons:
            pairs = [(answered[arm, seed], answered[against, seed]) for seed in plan.seeds]
            comparisons.append(compared(fraction, arm, against, pairs))
        effects += effects_of(results, fraction, answered)
    findings = Findings(
        plan=plan,
        classes=results.classes,
        summaries=tuple(_summaries(plan, rows)),
        comparisons=tuple(comparisons),
        effects=tuple(effects),
        generators=tuple(generators),
        warnings=(),
        same_test=same_test,
    )
    return replace(findings, warnings=tuple(caveats(plan, rows, generators))), rows


def _summaries(plan: Plan, rows: Sequence[Row]) -> Iterator[Summary]:
    for fraction in plan.fractions:
        for arm in plan.arms:
            own = [row for row in rows if (row.fraction, row.arm) == (fraction, arm)]
            accuracies = tuple(row.accuracy for row in own)
            interval = over_seeds(accuracies)
            yield Summary(
                fraction=fraction,
                arm=arm,
                accuracies=accuracies,
                interval=interval.clipped(0.0, 1.0) if interval else None,
                macro_f1=float(np.mean([row.macro_f1 for row in own])),
                log_loss=float(np.mean([row.log_loss for row in own])),
            )


def effects_of(results: Results, fraction: float, answered: Answers) -> Iterator[ClassEffect]:
    """Of what generation changes: beside the real samples, and beside classical augmentation where there is any."""
    plan = results.plan
    for arm, against in (pair for pair in plan.comparisons if pair in (("generated", "real"), ("both", "classical"))):
        for label, name in enumerate(results.classes):
            both = [(answered[arm, seed].of(label), answered[against, seed].of(label)) for seed in plan.seeds]
            pairs = [(ours, theirs) for ours, theirs in both if len(theirs.samples)]
            if pairs:
                found = compared(fraction, arm, against, pairs)
                before = float(np.mean([theirs.correct.mean() for _, theirs in pairs]))
                support = float(np.mean([len(theirs.samples) for _, theirs in pairs]))
                interval = found.interval if found.over_seeds else None
                yield ClassEffect(fraction, arm, against, name, before, found.mean, interval, support)
