"""What a reader must know before believing a comparison; mostly little."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from recurra.comparison.parity import Parity
from recurra.comparison.plan import Cell, Plan
from recurra.comparison.results import Row
from recurra.wording import listed, plural


def caveats(
    plan: Plan, rows: Sequence[Row], parities: Sequence[Parity], environments: Mapping[Cell, Mapping[str, str]]
) -> Iterator[str]:
    """A sentence or two each. `environments`: what train.json says that each training was made with."""
    if len(plan.seeds) == 1:
        yield (
            "One seed: how much trainings differ anyway is not known, so what is found is of these very networks and of"
            " no others. Three seeds are the least."
        )
    yield from _odd(parities)
    yield from _timing(rows)
    yield from _unequal(plan, rows, environments)
    yield from _unfinished(plan, rows)
    yield from _unlike(plan)


def _odd(parities: Sequence[Parity]) -> Iterator[str]:
    """Where the arithmetic differs by more than it should."""
    odd = [f"{each.model} on {each.backend}" for each in parities if each.float32 and not each.close]
    if odd:
        yield (
            f"With the same weights {listed(odd)} differs from {parities[0].reference} by more than the rounding of"
            " float32 explains. Reduced precision on a GPU (TF32) does that; so does a fault in a backend, which its"
            " conformance tests would find."
        )


def _timing(rows: Sequence[Row]) -> Iterator[str]:
    together = sum(row.beside > 0 for row in rows)
    if together:
        yield (
            f"{together} of {plural(len(rows), 'training')} ran beside others, so their times, rates and energy are"
            " those of a shared machine. To compare speed, train one after the other (--jobs 1)."
        )


def _unequal(plan: Plan, rows: Sequence[Row], environments: Mapping[Cell, Mapping[str, str]]) -> Iterator[str]:
    """Where not all trained on the same."""
    devices = sorted({row.device.partition(":")[0] for row in rows})
    processors = sorted({environment.get("processor", "") for environment in environments.values()})
    if len(devices) > 1 or len(processors) > 1:
        what = devices if len(devices) > 1 else processors
        yield f"Not all trained on the same device ({listed(what)}): times and rates do not compare, accuracy does."
    for backend in plan.backends:
        own = [environment for cell, environment in environments.items() if cell.backend == backend]
        names = sorted({name for environment in own for name in environment if name != "processor"})
        differing = [name for name in names if len({environment.get(name) for environment in own}) > 1]
        if differing:
            yield f"The trainings on {backend} were not all made with the same {listed(differing)}."


def _unfinished(plan: Plan, rows: Sequence[Row]) -> Iterator[str]:
    """Networks that might have become better."""
    learning = [
        model
        for model in plan.models
        for own in [[row for row in rows if row.model == model]]
        if sum(row.best_epoch == row.epochs for row in own) > len(own) / 2
    ]
    if learning and plan.experiment.train.keep == "best":
        yield (
            f"Most trainings of {listed(learning)} were best in their last epoch: still learning, and with more of"
            " train.epochs the order may be another."
        )


def _unlike(plan: Plan) -> Iterator[str]:
    """What backends do not share."""
    if len(plan.backends) == 1:
        return
    if plan.experiment.train.dropout:
        yield "Dropout is on, and each backend draws its own: their trainings part from the first step."
    if plan.experiment.train.precision == "bf16":
        yield (
            "bfloat16 keeps 8 bits of each number, so backends differ with equal weights, and a fault in one of them"
            " may not show; its arithmetic is judged in fp32 alone."
        )
