"""A comparison's drawings: accuracies, differences, learning curves, and by how much backends part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup

from recurra.comparison.findings import Evidence, Findings
from recurra.comparison.pairs import Pair, p_words
from recurra.comparison.plan import Plan
from recurra.comparison.summary import Summary
from recurra.report.comparison.courses import Course, learning_plot, parting_plot
from recurra.report.differences import DIFFERENCE, reach, short_points
from recurra.report.dots import Axis, Dot, dot_plot
from recurra.wording import percent, points

STYLES = 4
"""Colours that the style sheet has for backends."""
DRAWN = 16
"""Rows that the drawing of differences has at most."""
LETTER = 6.6
"""Pixels of an average letter of a label."""
MINUTES = 600
"""Seconds from which an axis is in minutes."""


def style_of(plan: Plan, backend: str) -> str:
    """The class of a backend's colour: a number, for its name may be anything."""
    return f"series-{plan.backends.index(backend) % STYLES}"


def accuracy_plot(findings: Findings) -> Markup:
    """Mean accuracy of each variant with both intervals; each seed is a small dot."""
    summaries = findings.summaries
    rows = [_accuracy(findings.plan, each) for each in summaries]
    words = "; ".join(f"{each.variant.words} {percent(each.accuracy.mean)}" for each in summaries)
    low, high = _extent(summaries)
    axis = Axis(low, high, _left(rows), "accuracy", lambda value: f"{100 * value:g}%")
    return dot_plot(rows, axis, f"Accuracy on the test samples: {words}.")


def _accuracy(plan: Plan, each: Summary) -> Dot:
    within = f"{percent(each.interval.low)} to {percent(each.interval.high)}"
    return Dot(
        label=each.variant.words,
        mean=each.accuracy.mean,
        values=each.accuracy.values,
        wide=each.interval,
        narrow=each.within,
        said=percent(each.accuracy.mean),
        within=within,
        words=f"{each.variant.words}: {percent(each.accuracy.mean)}, 95% interval {within}",
        style=style_of(plan, each.variant.backend),
    )


def _extent(summaries: Sequence[Summary]) -> tuple[float, float]:
    """What an axis of accuracies has to show. Three seeds can have intervals that leave no room for anything else: they
    may run out of the drawing.
    """
    values = [value for each in summaries for value in (*each.accuracy.values, each.within.low, each.within.high)]
    low, high = min(values), max(values)
    beyond = max(0.02, high - low)
    ends = [end for each in summaries for end in (each.interval.low, each.interval.high)]
    low, high = max(min([low, *ends]), low - beyond), min(max([high, *ends]), high + beyond)
    room = 0.04 * (high - low) or 0.02
    return max(0.0, low - room), min(1.0, high + room)


def _left(rows: Sequence[Dot]) -> float:
    return min(300.0, 32 + LETTER * max(len(row.label) for row in rows))


def differences_plot(pairs: Sequence[Pair]) -> Markup:
    """The differences of pairs that differ in one thing, with a line at 0."""
    shown = [pair for pair in pairs if pair.alone][:DRAWN]
    rows = [_difference(pair) for pair in shown]
    end = reach([(pair.differences, pair.over_samples, pair.interval) for pair in shown])
    axis = Axis(-end, end, _left(rows), DIFFERENCE, short_points)
    words = "; ".join(f"{row.label} {points(row.mean)} points" for row in rows)
    return dot_plot(rows, axis, f"Differences in accuracy: {words}.")


def _difference(pair: Pair) -> Dot:
    return Dot(
        label=short(pair),
        mean=pair.mean,
        values=pair.differences,
        wide=pair.interval,
        narrow=pair.over_samples,
        said=f"{points(pair.mean)}  {verdict(pair)}",
        within=f"{points(pair.interval.low)} to {points(pair.interval.high)}, p {p_words(pair.adjusted)}",
        words=pair.words,
        style=pair.verdict,
    )


def short(pair: Pair) -> str:
    """`torch: fusion − cnn`, or `cnn: torch − tensorflow`."""
    first, second = pair.first, pair.second
    if first.backend == second.backend:
        return f"{first.backend}: {first.model} − {second.model}"
    if first.model == second.model:
        return f"{first.model}: {first.backend} − {second.backend}"
    return f"{first.words} − {second.words}"


def verdict(pair: Pair) -> str:
    """What can be said of a pair, in few words."""
    if pair.verdict == "unknown":
        return "these two differ" if pair.apart else "cannot be told"
    if pair.verdict == "none":
        return "no difference seen"
    better, other = (pair.first, pair.second) if pair.verdict == "better" else (pair.second, pair.first)
    name = better.model if better.backend == other.backend else better.backend
    return f"{name if pair.alone else better.words} is better"


def learning_plots(findings: Findings, evidence: Evidence) -> Iterator[tuple[str, str, Markup, Markup]]:
    """(network, what is drawn, over epochs, over time) of each network, a line for each training."""
    plan = findings.plan
    held_out = any(np.isfinite(history["val_accuracy"]).any() for history in evidence.histories.values())
    column, name = ("val_accuracy", "validation accuracy") if held_out else ("train_accuracy", "training accuracy")
    longest = max(float(history["seconds"].sum()) for history in evidence.histories.values())
    unit, divisor = ("minutes", 60.0) if longest > MINUTES else ("seconds", 1.0)
    for model in plan.models:
        drawn = []
        for across in ("epoch", unit):
            courses = list(_courses(plan, evidence, model, column, None if across == "epoch" else divisor))
            title = f"{name.capitalize()} of {model} over {'epochs' if across == 'epoch' else 'time'}"
            drawn.append(learning_plot(courses, _across(across), title, share=True))
        yield model, name, drawn[0], drawn[1]


def _across(unit: str) -> str:
    return unit if unit == "epoch" else f"{unit} of training"


def _courses(plan: Plan, evidence: Evidence, model: str, column: str, divisor: float | None) -> Iterator[Course]:
    """Of a network's trainings, over epochs, or over time where a divisor makes seconds what the axis shows."""
    best = {(row.backend, row.seed): row.best_epoch for row in evidence.rows if row.model == model}
    for cell in (cell for cell in plan.cells() if cell.model == model):
        history = evidence.histories[cell]
        xs = history["epoch"] if divisor is None else np.cumsum(history["seconds"]) / divisor
        marked = int(np.searchsorted(history["epoch"], best[cell.backend, cell.seed]).clip(0, len(xs) - 1))
        words = f"{cell.backend}, seed {cell.seed}"
        yield Course(words, style_of(plan, cell.backend), xs, history[column], marked)


def parting_plots(findings: Findings) -> Iterator[tuple[str, Markup | None]]:
    """(network, how far each epoch's training loss is from that of the first backend, for each seed)."""
    plan = findings.plan
    for model in plan.models:
        courses = [
            Course(
                f"{parity.backend}, seed {seed}",
                style_of(plan, parity.backend),
                np.arange(1.0, len(differences) + 1),
                np.array(differences),
            )
            for parity in findings.parities
            if parity.model == model
            for seed, differences in zip(plan.seeds, parity.epochs, strict=True)
        ]
        yield model, parting_plot(courses, f"Difference of the training loss of {model}, epoch by epoch")
