"""A comparison's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

from recurra.comparison.findings import Evidence, Findings
from recurra.comparison.pairs import Pair, p_words
from recurra.comparison.parity import Parity
from recurra.comparison.plan import Plan
from recurra.comparison.summary import Measured, Summary, most_accurate
from recurra.intervals import Interval
from recurra.progress import duration
from recurra.report.comparison.plots import short, style_of, verdict
from recurra.report.tables import Tile
from recurra.wording import percent, plural, points, rate, size

PAIRS = 60
"""Pairs in a table at most; comparison.json has all of them."""
ORDERS: dict[str, tuple[str, Callable[[Summary], Any]]] = {
    "accuracy": ("Accuracy", lambda each: -each.accuracy.mean),
    "network": ("Network", lambda _: 0),
    "backend": ("Backend", lambda each: each.variant.backend),
    "macro": ("Macro F1", lambda each: -each.macro_f1.mean),
    "loss": ("Log loss", lambda each: each.log_loss.mean),
    "time": ("Training time", lambda each: each.seconds.mean),
    "memory": ("Peak memory", lambda each: each.peak_memory),
    "parameters": ("Parameters", lambda each: each.parameters),
}
"""Name -> (heading, sort key) of each order; `network` keeps the plan's own."""


@dataclass(frozen=True)
class Standing:
    """One variant."""

    model: str
    backend: str
    style: str
    accuracy: str
    interval: str
    macro_f1: str
    log_loss: str
    time: str
    memory: str
    parameters: str


@dataclass(frozen=True)
class Difference:
    """One pair."""

    label: str
    first: str
    second: str
    mean: str
    seeds: str
    samples: str
    only: str
    """Answers that one of both alone had right."""
    p: str
    adjusted: str
    verdict: str
    sure: bool
    words: str
    agreement: str
    kappa: str


@dataclass(frozen=True)
class Arithmetic:
    """One backend beside the first, for one network."""

    model: str
    backend: str
    style: str
    logits: str
    relative: str
    alike: str
    gradient: str
    weight: str
    loss: str
    first: str
    """How far the training losses are apart after the first epoch."""
    last: str
    words: str
    sure: bool
    """Whether more than rounding is at work."""


@dataclass(frozen=True)
class Cost:
    """What one training of a variant costs."""

    model: str
    backend: str
    style: str
    device: str
    epochs: str
    best: str
    time: str
    interval: str
    rate: str
    answers: str
    memory: str
    energy: str


def tiles(findings: Findings, evidence: Evidence) -> list[Tile]:
    """What the comparison consists of."""
    plan, rows = findings.plan, evidence.rows
    tests = sorted({row.test_samples for row in rows})
    shown = f"{tests[0]:,}" if len(tests) == 1 else f"{tests[0]:,} to {tests[-1]:,}"
    best = most_accurate(findings.summaries)
    named = best[0].variant.words if len(best) == 1 else f"{len(best)} variants equally"
    made = f"{plural(len(plan.models), 'network')} × {plural(len(plan.backends), 'backend')}"
    seeds = len(plan.seeds)
    same = "one seed" if seeds == 1 else "the same for all seeds" if findings.same_test else "each seed draws its own"
    return [
        Tile("Highest accuracy", percent(best[0].accuracy.mean), named),
        Tile("Trainings", f"{len(rows)}", f"{made} × {plural(seeds, 'seed')}"),
        Tile("Test samples", shown, same),
        Tile("Training", duration(fsum(row.seconds for row in rows)), "of all networks"),
    ]


def standings(findings: Findings) -> dict[str, list[Standing]]:
    """The rows of the table of variants in each order that it can be shown in."""
    return {
        name: [_standing(findings.plan, each) for each in sorted(findings.summaries, key=key)]
        for name, (_, key) in ORDERS.items()
    }


def _standing(plan: Plan, each: Summary) -> Standing:
    return Standing(
        model=each.variant.model,
        backend=each.variant.backend,
        style=style_of(plan, each.variant.backend),
        accuracy=percent(each.accuracy.mean),
        interval=f"{percent(each.interval.low)} to {percent(each.interval.high)}",
        macro_f1=_with(each.macro_f1),
        log_loss=_with(each.log_loss),
        time=duration(each.seconds.mean),
        memory=size(each.peak_memory),
        parameters=f"{each.parameters:,}",
    )


def _with(measured: Measured) -> str:
    """0.912 ± 0.013, half of the interval over seeds."""
    if measured.interval is None:
        return f"{measured.mean:.3f}"
    # Where one end is cut off at 0 or 1, the other one tells the reach.
    reach = max(measured.interval.high - measured.mean, measured.mean - measured.interval.low)
    return f"{measured.mean:.3f} ± {reach:.3f}"


def energy(joules: float | None) -> str:
    """Joules, or watt-hours of much."""
    if joules is None:
        return "–"
    return f"{joules / 3600:.3g} Wh" if joules >= 36_000 else f"{joules:,.0f} J"


def differences(pairs: Sequence[Pair]) -> list[Difference]:
    """A row for each pair, of very many the first PAIRS."""
    return [
        Difference(
            label=short(pair),
            first=pair.first.words,
            second=pair.second.words,
            mean=points(pair.mean),
            seeds=_spread(pair.over_seeds),
            samples=_spread(pair.over_samples),
            only=f"{pair.only_first:,} : {pair.only_second:,}",
            p=p_words(pair.p),
            adjusted=p_words(pair.adjusted),
            verdict=verdict(pair),
            sure=pair.verdict in ("better", "worse"),
            words=pair.words,
            agreement=percent(pair.agreement),
            kappa="–" if pair.kappa is None else f"{pair.kappa:.3f}",
        )
        for pair in pairs[:PAIRS]
    ]


def _spread(interval: Interval | None) -> str:
    return f"{points(interval.low)} to {points(interval.high)}" if interval else "–"


def arithmetic(findings: Findings) -> Iterator[Arithmetic]:
    """A row for each network and further backend."""
    for each in findings.parities:
        yield Arithmetic(
            model=each.model,
            backend=each.backend,
            style=style_of(findings.plan, each.backend),
            logits=tiny(each.logits),
            relative=tiny(each.relative),
            alike=percent(each.alike),
            gradient=tiny(each.gradient),
            weight=each.weight,
            loss=tiny(each.loss),
            first=_apart(each, 0),
            last=_apart(each, -1),
            words=each.words,
            sure=each.float32 and not each.close,
        )


def _apart(parity: Parity, epoch: int) -> str:
    """The largest over seeds, in the first or the last epoch."""
    return tiny(max(abs(differences[epoch]) for differences in parity.epochs))


def tiny(difference: float) -> str:
    """5.8e-07, and 0 where there is none."""
    return f"{difference:.1e}" if difference else "0"


def costs(findings: Findings) -> Iterator[Cost]:
    """A row for each variant."""
    for each in findings.summaries:
        interval = each.seconds.interval
        yield Cost(
            model=each.variant.model,
            backend=each.variant.backend,
            style=style_of(findings.plan, each.variant.backend),
            device=", ".join(each.devices),
            epochs=_range(each.epochs),
            best=_range(each.best_epochs),
            time=duration(each.seconds.mean),
            interval=f"{duration(interval.low)} to {duration(interval.high)}" if interval else "–",
            rate=rate(each.samples_per_second),
            answers=rate(each.answers_per_second),
            memory=size(each.peak_memory),
            energy=energy(each.energy_joules),
        )


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
