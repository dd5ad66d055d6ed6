"""What a retraining did and why, in plain words: markdown for the dashboard and for the run's folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recurra.champion.drift import Measure
from recurra.champion.duel import Duel
from recurra.champion.findings import Data, Findings
from recurra.champion.mix import CHANCE
from recurra.champion.record import Network
from recurra.champion.rules import Rules
from recurra.wording import listed, percent, plural, points

WORDS = {
    "brightness": "brightness",
    "contrast": "contrast",
    "pixels": "pixel values",
    "classes": "class shares",
    "predictions": "what the champion says",
    "confidence": "how sure it is",
}
STANDARD = ("brightness", "contrast", "confidence")
"""Measures in standard deviations; the others are population stability indices."""


def alarms(findings: Findings, rules: Rules) -> list[str]:
    """A line for each measure of drift beyond its threshold."""
    return [
        f"{_what(each)}: {_value(each)}, threshold {rules.threshold(each.name):g}"
        for each in findings.drift
        if each.alarms(rules.threshold(each.name))
    ]


def summary(name: str, network: Network, decision: str, why: str) -> str:
    """The decision in a sentence."""
    heads = {
        "promoted": f"Run {network.run} is the new champion {name}: {why}.",
        "kept": f"The champion {name} stays, and run {network.run} is not promoted: {why}.",
        "stands": f"The champion {name} stays as it is: {why}.",
    }
    return heads[decision]


def markdown(
    name: str, told: str, network: Network, champion: Network | None, findings: Findings | None, rules: Rules
) -> str:
    """The whole account. `told` is the `summary`; `champion` the one that was challenged, with `findings` if it was."""
    lines = [f"# {name}", "", told, ""]
    if findings is None or champion is None:
        lines += [f"Accuracy {percent(network.metrics['accuracy'])} on {_samples(network)}.", ""]
        return "\n".join(lines)
    lines += ["## The data", "", *_data(findings.data), ""]
    lines += ["## The networks", "", *_networks(findings, network, champion), ""]
    lines += ["## Drift", "", *_drift(findings, rules), ""]
    return "\n".join(lines)


def _samples(network: Network) -> str:
    return plural(int(network.test["samples"]), "test sample")


def _data(data: Data) -> Iterator[str]:
    if not (data.added or data.removed or data.changed):
        yield f"The same {data.after:,} samples as the champion's."
    else:
        yield (
            f"{data.before:,} samples when the champion was trained, {data.after:,} now: {data.added:,} added,"
            f" {data.removed:,} removed, {data.changed:,} of the same name with other pixels."
        )
    yield (
        f"For training {data.training_before:,} before and {data.training_after:,} now, for the test"
        f" {data.test_before:,} and {data.test_after:,}."
    )
    if data.classes_added:
        yield f"New: {_classes(data.classes_added)}. The champion does not know that, so it gets those samples wrong."
    if data.classes_removed:
        yield f"Gone: {_classes(data.classes_removed)}. Where the champion says that, it is wrong."
    if data.prepared:
        yield "The pictures are stored otherwise now (size, channels, frames or values), so the champion was given"
        yield "the source's samples after its own preprocessing."


def _classes(names: Sequence[str]) -> str:
    shown = listed([*names[:5]]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"{'class' if len(names) == 1 else 'classes'} {shown}"


def _networks(findings: Findings, network: Network, champion: Network) -> Iterator[str]:
    tested, duel = findings.tested, findings.duel
    if duel is None:
        yield "No test sample is left that both networks can read and neither learnt from."
    else:
        yield "| | champion | new network | difference | 95% interval |"
        yield "| --- | ---: | ---: | ---: | ---: |"
        yield _row(f"accuracy, {duel.samples:,} test samples", duel)
        if findings.shared is not None:
            yield _row(f"the classes that both know, {findings.shared.samples:,}", findings.shared)
        yield ""
        yield (
            f"Champion: run {champion.run}. New: run {network.run}. Only the champion has {duel.only_champion:,} of"
            f" them right, only the new one {duel.only_challenger:,}."
        )
        if duel.groups is not None and duel.worth is not None:
            worth = plural(round(duel.worth), "independent sample")
            yield f"They are of {plural(duel.groups, 'group')}, and worth {worth}."
        own = plural(tested.own, "sample")
        yield f"Of the champion's own test split {own} {'is' if tested.own == 1 else 'are'} among them."
    if tested.learnt:
        yield f"Left out because the champion learnt from them or their group: {tested.learnt:,}."
    else:
        yield "The champion learnt from none of the test samples."
    if tested.repeated:
        yield f"Left out because the new network learnt from the very same picture or its group: {tested.repeated:,}."
    if tested.unreadable:
        yield f"Left out because the champion's preprocessing refuses them: {tested.unreadable:,}."


def _row(what: str, duel: Duel) -> str:
    within = f"{points(duel.interval.low)} to {points(duel.interval.high)}"
    cells = (what, percent(duel.champion, 2), percent(duel.challenger, 2), f"{points(duel.difference)} points", within)
    return f"| {' | '.join(cells)} |"


def _drift(findings: Findings, rules: Rules) -> Iterator[str]:
    found = [each for each in findings.drift if each.alarms(rules.threshold(each.name))]
    yield f"**{plural(len(found), 'alarm')}.**" if found else "No alarm."
    yield ""
    yield "| measure | champion's data | now | moved by | threshold | chance | |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | --- |"
    for each in findings.drift:
        threshold = rules.threshold(each.name)
        cells = (
            _what(each),
            "" if each.before is None else f"{each.before:.4g}",
            "" if each.after is None else f"{each.after:.4g}",
            _value(each),
            f"{threshold:g}",
            f"{each.chance:.3f}",
            "**alarm**" if each.alarms(threshold) else "",
        )
        yield f"| {' | '.join(cells)} |"
    yield ""
    if not findings.fresh:
        yield "No sample is new, so there are no measures of new samples."
    elif findings.asked < findings.fresh:
        yield f"Of {findings.fresh:,} new samples the champion was asked about {findings.asked:,}."
    yield f"Chance alone exceeds its column once in {1 / CHANCE:,.0f} times; an alarm needs more than both columns."


def _what(measure: Measure) -> str:
    channel = "" if measure.channel is None else f", channel {measure.channel}"
    return f"{WORDS[measure.name]}{channel}, {measure.of} ({measure.samples:,})"


def _value(measure: Measure) -> str:
    if measure.name in STANDARD:
        return f"{measure.value:+.3f} sd".replace("-", "−")
    return f"PSI {measure.value:.3f}"
