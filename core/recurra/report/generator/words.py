"""Findings about a GAN in words."""

from __future__ import annotations

import math

import numpy as np

from recurra.report.generator.material import Material, Measure
from recurra.report.words import inexact_resume
from recurra.wording import percent, plural

NEAR = 1.25
"""Times the floor up to which a distance is no different to speak of."""
SURE = 3.0
"""Standard deviations beyond which a share is no accident."""
TELLING = 2.0
"""Standard errors beyond which a kernel distance is no accident; they are rather too large."""
FEW = 200
"""Test samples below which nothing is said about copies."""
GAP = 0.05
"""Of accuracy, that a judge has on its training samples beyond test samples, and floors still mean what they say."""


def achieved(material: Material) -> str:
    """What the generated samples are worth, in three sentences: as training data, as their labels say, and as new."""
    return " ".join([_as_data(material), _as_intended(material), memorised(material)])


def _as_data(material: Material) -> str:
    tstr, trtr = material.measured["tstr"], material.measured["trtr"]
    within = "" if tstr["low"] is None else f" (95% interval {percent(tstr['low'])} to {percent(tstr['high'])})"
    most = majority(material)
    plain = f" Always naming the most frequent class would be right {percent(most)} of the time: they are no use yet."
    return (
        "A recogniser that was trained on generated samples alone names the right class of"
        f" {percent(tstr['accuracy'])} of {plural(test_samples(material), f'real test {kind(material)}')}{within};"
        f" the judge, one like it that was trained on real samples, of {percent(trtr['accuracy'])}."
        f"{plain if tstr['accuracy'] <= most else ''}"
    )


def _as_intended(material: Material) -> str:
    found = material.measured["trts"]
    if found["accuracy"] is None:
        return "No class has both generated and real test samples for the judge to look at."
    return (
        f"The judge takes {percent(found['accuracy'])} of the generated samples for the class that was intended, and"
        f" {percent(found['floor'])} of the real test samples for their own (means of the classes)."
    )


def kind(material: Material) -> str:
    """image or clip."""
    return material.dataset.sample.kind


def test_samples(material: Material) -> int:
    """How many real test samples the recognisers were tested on."""
    return int(np.sum(material.measured["tstr"]["confusion"]))


def majority(material: Material) -> float:
    """The accuracy of always naming the test split's most frequent class."""
    counts = np.sum(material.measured["tstr"]["confusion"], axis=1)
    return float(counts.max() / max(1, counts.sum()))


def memorised(material: Material) -> str:
    """Whether the samples are copies: nearer to training samples than to other real ones."""
    found, compared = material.measured["memorisation"]["nearer"], material.measured["samples"]["compared"]
    if found["share"] is None:
        return "Whether generated samples are copies of training samples could not be told."
    nearer = (
        f"{percent(found['share'])} of the generated samples are nearer to one of {compared:,} training samples than to"
        f" any of as many test samples (99% interval {percent(found['low'])} to {percent(found['high'])};"
        f" of new samples 50%, of copies alone {percent(found['copies'])})"
    )
    if compared < FEW:
        return f"Whether they are copies cannot be told with so few samples: {nearer}."
    if found["low"] > 0.5:
        return f"There are signs of copying: {nearer}. Look at the pairs."
    if found["high"] < 0.5:
        unlike = "because training samples look unlike new ones to this judge, and copies of them less near"
        return f"Whether they are copies cannot be told, {unlike}: {nearer}."
    if found["high"] >= found["copies"]:
        return f"Whether they are copies cannot be told from samples like these: {nearer}."
    return f"There is no sign of copying: {nearer}."


def close(material: Material) -> str:
    """How near to training samples the generated ones lie; that alone says nothing about copies."""
    found, counts = material.measured["memorisation"], material.measured["samples"]
    if found["share"] is None or found["expected"] is None:
        return ""
    lies = (
        f"{percent(found['share'])} of the generated samples lie closer to a training sample than 99% of the test"
        f" samples do (of test samples themselves {percent(found['expected'])})"
    )
    # The threshold is as uncertain as few test samples make it, and the share as few compared ones do.
    pooled = (found["share"] + found["expected"]) / 2
    if found["share"] - found["expected"] <= SURE * math.sqrt(2 * pooled * (1 - pooled) / max(1, counts["compared"])):
        return f"{lies}."
    return f"{lies}: nearer than real ones are. They are copies, or samples of little variety; look at the pairs."


def gap(material: Material) -> str:
    """How far the judge knows the samples that it was trained on better than others, and so what floors are worth."""
    found = material.measured["trtr"]
    return (
        f"The judge is right on {percent(found['train_accuracy'])} of the training samples, which it was trained on,"
        f" and on {percent(found['accuracy'])} of the test samples."
    )


def warnings(material: Material) -> list[str]:
    """What a reader must know before trusting the numbers; mostly empty."""
    lines = [f"{line[:1].upper()}{line[1:]}." for line in material.training["symptoms"]]
    lines += inexact_resume(material.training)
    judge = material.measured["trtr"]["accuracy"]
    if judge <= majority(material):
        lines.append(
            f"The judge itself names the right class of only {percent(judge)} of the real test samples, no more than"
            " guessing: what it says about generated ones means little. Train evaluate.gan.recogniser better first."
        )
    if material.measured["trtr"]["train_accuracy"] - judge > GAP:
        lines.append(f"{gap(material)} It sees training samples as unlike new ones, so every floor is too generous.")
    absent = [row["name"] for row in material.measured["per_class"] if not row["test"]]
    if absent:
        names = ", ".join(absent[:5]) + (", …" if len(absent) > 5 else "")
        lines.append(f"{plural(len(absent), 'class')} without a test sample: {names}. Nothing is known about them.")
    if test_samples(material) < 100:
        count = plural(test_samples(material), "real test sample")
        lines.append(f"Only {count}: read every number with its floor and interval in mind.")
    return lines


def learned(material: Material) -> str:
    """How the training went, in a sentence or two."""
    training, experiment = material.training, material.experiment
    ending = ", stopped early because nothing got better" if training["stopped"] == "early stopping" else ""
    monitor = {"frechet": "Fréchet distance", "kernel": "kernel distance", "label_accuracy": "label accuracy"}
    name = monitor.get(experiment.train.gan.monitor, experiment.train.gan.monitor)
    which = f"the best by {name}" if experiment.train.keep == "best" else "the last"
    averaged = ", averaged over the steps before," if experiment.train.gan.average else ""
    return (
        f"{plural(training['epochs_done'], 'epoch')}{ending}. The weights{averaged} that generated everything else on"
        f" this page are those of epoch {material.tested_epoch}, {which}."
    )


def scale(material: Material) -> str:
    """The ends of the scale that all pictures have; empty where 8-bit values are shown as they are."""
    if material.shades is None:
        return ""
    low, high = material.shades.low, material.shades.high
    digits = max(0, 2 - math.floor(math.log10(max(high - low, 1e-12))))
    return (
        f"All pictures of this page, generated and real, are on one scale: black is {low:.{digits}f} and less, white is"
        f" {high:.{digits}f} and more, in the dataset’s own units."
    )


def distance_verdict(found: Measure) -> str:
    """A distance beside what real samples have."""
    if found.value is None or found.floor is None:
        return "not measured" if found.value is None else "no floor to compare with"
    if found.value <= found.floor:
        return "as close as real samples are to each other"
    ratio = found.value / found.floor if found.floor > 0 else math.inf
    if ratio <= NEAR:
        return "about as close as real samples are to each other"
    if ratio < 1000:
        return f"{ratio:.1f} times as far apart as real samples" if ratio < 10 else f"{ratio:,.0f} times as far apart"
    return "farther apart than real samples are"


def kernel_verdict(found: Measure) -> str:
    """A kernel distance beside what real samples have. Both are around 0 where nothing differs: they have no ratio."""
    if found.value is None or found.floor is None or found.value_error is None or found.floor_error is None:
        return "not measured" if found.value is None else "too few samples to compare"
    if found.value - found.floor > TELLING * math.hypot(found.value_error, found.floor_error):
        return "farther apart than real samples are"
    return "no difference from real samples beyond chance"


def share_verdict(found: Measure, lacking: str) -> str:
    """A share beside what real samples have; `lacking` is what falls short, of some or of most."""
    if found.value is None or found.floor is None:
        return "not measured" if found.value is None else "no floor to compare with"
    points = 100 * (found.floor - found.value)
    if points < 1:
        return "as high as of real samples"
    return f"{points:.0f} points below real samples: {'most' if 2 * found.value < found.floor else 'some'} {lacking}"


def diversity_verdict(found: Measure) -> str:
    """The least diverse class beside what real samples have."""
    if found.value is None or found.floor is None:
        return "not measured" if found.value is None else "no floor to compare with"
    part = found.value / found.floor if found.floor > 0 else 1.0
    return "as diverse as real samples" if part >= 0.95 else f"{percent(part, 0)} of the variety of real samples"
