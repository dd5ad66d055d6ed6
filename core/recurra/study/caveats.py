"""What a reader must know before believing a study; mostly little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recurra.study.answer import part
from recurra.study.plan import Plan, equal_steps, steps_of
from recurra.study.results import Generator, Row
from recurra.wording import listed

SYMPTOMS = 4
"""Told of at most, and GANs named of each."""
SHORTER = 0.95
"""Part of the real arm's steps below which an arm is said to have trained less."""


def caveats(plan: Plan, rows: Sequence[Row], generators: Sequence[Generator]) -> Iterator[str]:
    """A sentence each."""
    if len(plan.seeds) == 1:
        yield "One seed: how much trainings differ anyway is not known, so nothing is concluded. Three are the least."
    if len(plan.arms) == 2:
        yield "The experiment has no classical augmentation (data.augment), so there are two arms and not four."
    learning = [part(fraction) for fraction in plan.fractions if _still_learning(plan, _of(rows, fraction))]
    if learning:
        yield (
            f"At {listed(learning)} of the training data most trainings were best in their last epoch: they were still"
            " learning, and with more of train.epochs the answer may be another."
        )
    shorter = [part(fraction) for fraction in plan.fractions if _shorter(plan, _of(rows, fraction))]
    if shorter:
        yield (
            f"At {listed(shorter)} of the training data the arms with generated samples had clearly fewer steps than"
            " the others, because epochs are whole; more of train.epochs evens that out."
        )
    yield from _symptoms(generators)


def _symptoms(generators: Sequence[Generator]) -> Iterator[str]:
    """Each of the GANs' symptoms once, with the GANs that had it."""
    had: dict[str, list[str]] = {}
    for generator in generators:
        for symptom in generator.symptoms:
            had.setdefault(symptom, []).append(f"{part(generator.fraction)} (seed {generator.seed})")
    for symptom, places in list(had.items())[:SYMPTOMS]:
        gans = f"The GAN of {listed(places)}" if len(places) <= SYMPTOMS else f"{len(places)} of {len(generators)} GANs"
        yield f"{gans}: {symptom}"
    if len(had) > SYMPTOMS:
        yield f"The GANs had {len(had) - SYMPTOMS} further symptoms; study.json lists them."


def _of(rows: Sequence[Row], fraction: float) -> list[Row]:
    return [row for row in rows if row.fraction == fraction]


def _still_learning(plan: Plan, rows: Sequence[Row]) -> bool:
    best_last = sum(row.best_epoch == row.epochs for row in rows)
    return plan.experiment.train.keep == "best" and best_last > len(rows) / 2


def _shorter(plan: Plan, rows: Sequence[Row]) -> bool:
    """Whether an arm was allowed clearly fewer steps; where one stopped early, that was its own doing."""
    allowed = [
        steps_of(equal_steps(train, row.real, row.real + row.generated), row.real + row.generated)
        / steps_of(train, row.real)
        for row in rows
        for train in [plan.training(row.fraction)]
    ]
    return min(allowed) < SHORTER
