"""A sweep's drawings over its settings: each by itself, all together, and how much each matters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from recurra.report import svg
from recurra.report.svg import Scale
from recurra.report.sweep.axes import Field, Values
from recurra.report.sweep.plots import hint, look
from recurra.sweep.findings import Findings
from recurra.sweep.space import Choice, Range, shown
from recurra.sweep.trial import Trial
from recurra.sweep.words import MONITORED
from recurra.wording import percent

SLICE = (420.0, 236.0)
SHADES = 5
"""Of trials, from the worst to the best, and from the first to the last."""
APART = 116.0
"""Pixels between two parallel axes, at least."""
PARALLEL = (880.0, 340.0, 46.0, 300.0)
"""Width at least, height, and where the axes begin and end."""
BAR = 26.0


def importance_plot(found: Findings) -> Markup:
    """A bar for each field."""
    x, height = Scale(0, 1, 250, 800), BAR * len(found.importances)
    parts: list[Markup] = []
    for row, (field, share) in enumerate(found.importances.items()):
        y = BAR * row
        parts.append(svg.text(238, y + 17, svg.shortened(field, 34), class_="name end"))
        parts.append(
            svg.element("rect", x=250.0, y=y + 5, width=max(1.5, x(share) - 250), height=BAR - 10, class_="share")
        )
        parts.append(svg.text(x(share) + 8, y + 17, percent(share, 0), class_="tick"))
    words = "; ".join(f"{field} {percent(share, 0)}" for field, share in found.importances.items())
    return svg.figure(880, height, f"How much each setting matters: {words}.", parts, "curves sweep")


def slices(found: Findings) -> list[tuple[str, Markup]]:
    """(field, drawing) of each that varies: what is monitored over its values."""
    order = list(found.importances) or [each.field for each in found.plan.space]
    ranked = sorted(found.plan.space, key=lambda each: order.index(each.field) if each.field in order else len(order))
    return [(each.field, _slice(found, each)) for each in ranked]


def _slice(found: Findings, of: Range | Choice) -> Markup:
    width, height = SLICE
    values, field = Values.of(found), Field(of)
    x, y = Scale(0, 1, 58, width - 16), Scale(values.low, values.high, height - 36, 12)
    parts: list[Markup] = []
    for value, text in values.marks(4):
        parts.append(svg.line(50, y(value), width - 8, y(value), "grid"))
        parts.append(svg.text(44, y(value) + 4, text, class_="tick end"))
    for place, text in field.marks():
        parts.append(svg.text(x(place), height - 14, text, class_="tick mid"))
    done = [trial for trial in found.trials if trial.value is not None]
    for trial in sorted(done, key=lambda each: each.number == found.best.number):
        parts.append(_dot(found, trial, x(field.at(trial.settings[of.field])), y, values))
    label = f"{MONITORED[values.monitored]} over {of.field}; the best has {shown(found.best.settings[of.field])}."
    return svg.figure(width, height, label, parts, "curves sweep")


def _dot(found: Findings, trial: Trial, at: float, y: Scale, values: Values) -> Markup:
    age = min(SHADES - 1, SHADES * trial.number // max(1, len(found.trials)))
    kind = "best" if look(found, trial) == "best" else f"done age-{age}"
    size = 5.5 if kind == "best" else 4.0
    dot = svg.element("circle", hint(found, trial), cx=at, cy=y(values.within(trial.value or 0.0)), r=size)
    return svg.group([dot], class_=f"trial {kind}")


def parallel_plot(found: Findings) -> Markup:
    """A line for each trial that is done, through its settings to its value: the better, the stronger."""
    least, height, top, bottom = PARALLEL
    fields = [Field(each) for each in found.plan.space]
    width = max(least, APART * len(fields) + 150)
    across = Scale(0, len(fields), 60, width - 90)
    values, up = Values.of(found), Scale(0, 1, bottom, top)
    y = Scale(values.low, values.high, bottom, top)
    parts = []
    for trial, shade in _shaded(found):
        xs = [across(n) for n in range(len(fields) + 1)]
        ys = [up(field.at(trial.settings[field.of.field])) for field in fields]
        ys.append(y(values.within(trial.value or 0.0)))
        parts.append(svg.group([hint(found, trial), svg.path(xs, ys, "line")], class_=f"way {shade}"))
    for n, field in enumerate(fields):
        marks = [(up(place), text) for place, text in field.marks()]
        parts += _axis(across(n), field.of.field, marks, n % 2 == 1 and len(fields) > 4)
    parts += _axis(
        across(len(fields)), MONITORED[values.monitored], [(y(v), text) for v, text in values.marks()], False
    )
    label = f"Every trial that is done as a line through {len(fields)} settings to its {MONITORED[values.monitored]}."
    return svg.figure(width, height, label, parts, "sweep wide")


def _axis(x: float, name: str, marks: Sequence[tuple[float, str]], higher: bool) -> Iterator[Markup]:
    _, _, top, bottom = PARALLEL
    yield svg.line(x, top, x, bottom, "stem")
    short = svg.shortened(name.rpartition(".")[2], 22)
    yield svg.text(x, top - (30 if higher else 14), short, class_="name mid")
    above = name.rpartition(".")[0]
    if above:
        yield svg.text(x, bottom + 22, svg.shortened(above, 22), class_="tick mid")
    for y, text in marks:
        yield svg.line(x - 3, y, x + 3, y, "stem")
        yield svg.text(x + 7, y + 4, text, class_="tick halo")


def _shaded(found: Findings) -> list[tuple[Trial, str]]:
    """(trial, its shade) of those that are done, the best last."""
    sign = 1.0 if found.plan.rising else -1.0
    done = [(sign * trial.value, trial) for trial in found.trials if trial.value is not None]
    worst_first = [trial for _, trial in sorted(done, key=lambda each: each[0])]
    ranked = [trial for trial in worst_first if trial.number != found.best.number]
    shaded = [(trial, f"rank-{SHADES * n // max(1, len(ranked))}") for n, trial in enumerate(ranked)]
    return [*shaded, (found.best, "best")]
