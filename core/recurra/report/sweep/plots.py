"""A sweep's drawings over trials and epochs: how the search went, and what training each trial came to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from recurra.report import svg
from recurra.report.svg import Scale
from recurra.report.sweep.axes import Values
from recurra.sweep.findings import Findings
from recurra.sweep.space import shown
from recurra.sweep.trial import Trial
from recurra.sweep.words import MONITORED, measure

WIDTH, HEIGHT = 880.0, 320.0
LEFT, RIGHT, TOP, BOTTOM = 60.0, 864.0, 14.0, 258.0
FAILED = 278.0
"""Where trials that failed are marked, below the axis."""
CURVES = 300
"""Drawn at most; of more, the last."""


def hint(found: Findings, trial: Trial) -> Markup:
    """What is shown of a trial where one points at it."""
    settings = "; ".join(f"{field} {shown(value)}" for field, value in trial.settings.items())
    came = measure(found.plan, trial.value) if trial.state == "done" else trial.reason or trial.state
    return svg.element("title", f"trial {trial.number}: {came}\n{settings}")


def look(found: Findings, trial: Trial) -> str:
    """The class of a trial's mark."""
    return "best" if trial.number == found.best.number else trial.state


def history_plot(found: Findings) -> Markup:
    """Each trial's value in the order of the trials, and the best so far."""
    values = Values.of(found)
    x = Scale(-0.5, max(1.0, len(found.trials) - 0.5), LEFT + 6, RIGHT)
    y = Scale(values.low, values.high, BOTTOM, TOP)
    parts = [*_frame(values, y), *_numbers(x, len(found.trials)), _best_so_far(found, values, x, y)]
    for trial in sorted(found.trials, key=lambda each: each.number == found.best.number):
        parts += _mark(found, trial, values, x, y)
    words = f"{MONITORED[values.monitored]} of {len(found.trials)} trials; the best is trial {found.best.number}"
    return svg.figure(WIDTH, HEIGHT, f"{words}, {measure(found.plan, found.best.value)}.", parts, "curves sweep")


def _frame(values: Values, y: Scale) -> Iterator[Markup]:
    for value, text in values.marks():
        yield svg.line(LEFT, y(value), RIGHT, y(value), "grid")
        yield svg.text(LEFT - 8, y(value) + 4, text, class_="tick end")


def _numbers(x: Scale, count: int) -> Iterator[Markup]:
    wanted = min(10, count)
    marks = [value for value in svg.ticks(0, max(1, count - 1), wanted) if value == int(value) and value < count]
    for value in marks:
        yield svg.text(x(value), BOTTOM + 40, f"{value:.0f}", class_="tick mid")
    yield svg.text((LEFT + RIGHT) / 2, HEIGHT - 3, "trial", class_="axis mid")


def _best_so_far(found: Findings, values: Values, x: Scale, y: Scale) -> Markup:
    xs, ys, best = [], [], None
    for trial in found.trials:
        if trial.value is None:
            continue
        better = best is None or (trial.value > best if found.plan.rising else trial.value < best)
        if better and best is not None:
            xs.append(x(trial.number))
            ys.append(y(values.within(best)))
        if better:
            best = trial.value
            xs.append(x(trial.number))
            ys.append(y(values.within(best)))
    if best is not None:
        xs.append(x(len(found.trials) - 0.5))
        ys.append(y(values.within(best)))
    return svg.path(xs, ys, "so-far")


def _mark(found: Findings, trial: Trial, values: Values, x: Scale, y: Scale) -> Iterator[Markup]:
    at, said = x(trial.number), hint(found, trial)
    value = trial.value if trial.state == "done" else trial.curve[-1][1] if trial.curve else None
    if trial.state == "failed" or value is None:
        cross = f"M{at - 3.5:.2f} {FAILED - 3.5}l7 7m0 -7l-7 7"
        yield svg.group([said, svg.element("path", d=cross)], class_="trial failed")
        return
    shape = svg.element(
        "circle", said, cx=at, cy=y(values.within(value)), r=5.5 if look(found, trial) == "best" else 3.8
    )
    yield svg.group([shape], class_=f"trial {look(found, trial)}")


def curves_plot(found: Findings) -> Markup:
    """What is monitored over the epochs of every trial; those that were pruned end early."""
    drawn = [trial for trial in found.trials if trial.curve][-CURVES:]
    values = Values.of_curves(found, drawn)
    last = max(2, *(epoch for trial in drawn for epoch, _ in trial.curve))
    x, y = Scale(1, last, LEFT + 6, RIGHT - 6), Scale(values.low, values.high, BOTTOM, TOP)
    parts = [*_frame(values, y)]
    for value in [mark for mark in svg.ticks(1, last, 10) if mark == int(mark)]:
        parts.append(svg.text(x(value), BOTTOM + 20, f"{value:.0f}", class_="tick mid"))
    parts.append(svg.text((LEFT + RIGHT) / 2, BOTTOM + 38, "epoch", class_="axis mid"))
    parts.append(_within([_curve(found, trial, values, x, y) for trial in _last_the_best(found, drawn)]))
    label = f"{MONITORED[values.monitored]} over the epochs of {len(drawn)} trials."
    return svg.figure(WIDTH, BOTTOM + 46, label, parts, "curves sweep")


def _within(parts: Sequence[Markup]) -> Markup:
    """What of the parts lies within the axes: an inner drawing shows nothing beyond its edges."""
    wide, high = RIGHT - LEFT, BOTTOM - TOP
    box = f"{LEFT:g} {TOP:g} {wide:g} {high:g}"
    return svg.element("svg", *parts, x=LEFT, y=TOP, width=wide, height=high, viewBox=box)


def _last_the_best(found: Findings, trials: Sequence[Trial]) -> list[Trial]:
    """What is drawn last lies on top."""
    order = {"failed": 0, "pruned": 1, "done": 2, "best": 3}
    return sorted(trials, key=lambda trial: order.get(look(found, trial), 0))


def _curve(found: Findings, trial: Trial, values: Values, x: Scale, y: Scale) -> Markup:
    xs, ys = [x(epoch) for epoch, _ in trial.curve], [y(value) for _, value in trial.curve]
    parts, kind = [hint(found, trial), svg.path(xs, ys, "line")], look(found, trial)
    if trial.state in ("pruned", "failed"):
        end = y(values.within(trial.curve[-1][1]))
        parts.append(svg.element("circle", cx=xs[-1], cy=end, r=2.6, class_="stop"))
    elif kind == "best" and trial.best_epoch is not None:
        at = next((n for n, (epoch, _) in enumerate(trial.curve) if epoch == trial.best_epoch), len(xs) - 1)
        parts.append(svg.element("circle", cx=xs[at], cy=ys[at], r=4.5, class_="stop"))
    return svg.group(parts, class_=f"course {kind}")
