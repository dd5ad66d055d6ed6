"""What a comparison found: every variant's numbers, their differences, the backends' parity, and what to know first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from recurra.comparison.answer import question, told
from recurra.comparison.caveats import caveats
from recurra.comparison.pairs import Pair, pairs
from recurra.comparison.parity import Parity, parities
from recurra.comparison.plan import Cell, Plan, Variant
from recurra.comparison.results import Answers, Results, Row, of_variant
from recurra.comparison.summary import Measured, Summary
from recurra.intervals import Interval, over_samples

SCHEMA = 1


@dataclass(frozen=True)
class Findings:
    """All of it."""

    plan: Plan
    classes: tuple[str, ...]
    summaries: tuple[Summary, ...]
    """One a variant, network by network."""
    pairs: tuple[Pair, ...]
    parities: tuple[Parity, ...]
    warnings: tuple[str, ...]
    same_test: bool
    """Whether every seed has the same test split."""

    @property
    def question(self) -> str:
        """What was asked."""
        return question(self.plan)

    @property
    def told(self) -> tuple[str, ...]:
        """The answer, a sentence or two for each thing that was asked."""
        return tuple(told(self.plan, self.summaries, self.pairs, self.parities))

    @property
    def answer(self) -> str:
        """The answer as one text."""
        return " ".join(self.told)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `json.dumps(..., allow_nan=False)`; what can be worked out of them stands beside them."""
        value = TypeAdapter(Findings).dump_python(self, mode="json")
        for shown, pair in zip(value["pairs"], self.pairs, strict=True):
            shown |= {"mean": pair.mean, "verdict": pair.verdict, "words": pair.words}
        for shown, summary in zip(value["summaries"], self.summaries, strict=True):
            shown["mean_accuracy"] = summary.accuracy.mean
        for shown, parity in zip(value["parities"], self.parities, strict=True):
            shown |= {"relative": parity.relative, "close": parity.close}
        return {"schema": SCHEMA, "question": self.question, "answer": self.answer, **value}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Findings:
        """What `to_json` gave; what can be worked out is ignored."""
        return TypeAdapter(Findings).validate_python(value)


@dataclass(frozen=True)
class Evidence:
    """What the findings rest on."""

    rows: tuple[Row, ...]
    """One a training."""
    histories: Mapping[Cell, Mapping[str, np.ndarray]]
    """Of each training: column -> [epochs] float64."""
    confusions: Mapping[Variant, np.ndarray]
    """[K, K] int64, over all seeds."""


def find(results: Results) -> tuple[Findings, Evidence]:
    """The findings, and what they are made from."""
    plan, rows, answers = results.plan, results.rows(), results.answers()
    splits = [set(answers[cell].right.samples.tolist()) for cell in plan.cells_of(plan.variants[0])]
    findings = Findings(
        plan=plan,
        classes=results.classes,
        summaries=tuple(_summaries(plan, rows, answers)),
        pairs=tuple(pairs(plan, answers, len(results.classes))),
        parities=tuple(parities(results)),
        warnings=(),
        same_test=all(split == splits[0] for split in splits),
    )
    environments = {cell: results.trained(cell)["environment"] for cell in plan.cells()}
    warnings = caveats(plan, rows, findings.parities, environments)
    evidence = Evidence(
        rows=tuple(rows),
        histories={cell: results.history(cell) for cell in plan.cells()},
        confusions={variant: results.confusion(variant) for variant in plan.variants},
    )
    return replace(findings, warnings=tuple(warnings)), evidence


def _summaries(plan: Plan, rows: Sequence[Row], answers: Mapping[Cell, Answers]) -> Iterator[Summary]:
    for variant in plan.variants:
        own, said = list(of_variant(rows, variant)), [answers[cell] for cell in plan.cells_of(variant)]
        energies = [row.energy_joules for row in own if row.energy_joules is not None]
        yield Summary(
            variant=variant,
            accuracy=Measured.of([row.accuracy for row in own], 0.0, 1.0),
            within=_within(said),
            macro_f1=Measured.of([row.macro_f1 for row in own], 0.0, 1.0),
            log_loss=Measured.of([row.log_loss for row in own], 0.0),
            seconds=Measured.of([row.seconds for row in own], 0.0),
            samples_per_second=float(np.mean([row.samples_per_second for row in own])),
            answers_per_second=float(np.mean([row.answers_per_second for row in own])),
            peak_memory=max(row.peak_memory for row in own),
            energy_joules=float(np.mean(energies)) if len(energies) == len(own) else None,
            parameters=own[0].parameters,
            epochs=tuple(row.epochs for row in own),
            best_epochs=tuple(row.best_epoch for row in own),
            devices=tuple(sorted({row.device for row in own})),
            alike=_alike(said),
        )


def _within(said: Sequence[Answers]) -> Interval:
    """The interval of the mean accuracy over test samples, each with its answers of all seeds."""
    numbers = np.unique(np.concatenate([each.right.samples for each in said]))
    right = np.zeros((len(numbers), len(said)), np.int8)
    tested = np.zeros(right.shape, bool)
    for seed, each in enumerate(said):
        places = np.searchsorted(numbers, each.right.samples)
        right[places, seed], tested[places, seed] = each.right.correct, True
    return over_samples(right, tested)


def _alike(said: Sequence[Answers]) -> float | None:
    """Part of the samples that two seeds take for the same class, over those that both have; None where there are
    none.
    """
    shares = []
    for one, other in combinations(said, 2):
        _, ours, theirs = np.intersect1d(one.right.samples, other.right.samples, return_indices=True)
        if len(ours):
            shares.append(float((one.predicted[ours] == other.predicted[theirs]).mean()))
    return float(np.mean(shares)) if shares else None
