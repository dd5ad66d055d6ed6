"""Findings in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from recurra.report.material import Material
from recurra.wording import percent, plural


def achieved(material: Material) -> str:
    """What the network achieved on the test split, and against what."""
    metrics, kind = material.metrics, material.experiment.model.kind
    accuracy, majority, chance = metrics.headline["accuracy"], metrics.majority, 1 / len(metrics.classes)
    within = ""
    if material.interval:
        low, high = material.interval
        within = f" (95% interval {percent(low)} to {percent(high)})"
    plain = f"Always answering the most frequent class would be right {percent(majority)} of the time"
    if abs(majority - chance) > 5e-4:
        plain += f", a guess at random {percent(chance)}"
    return (
        f"On {plural(metrics.samples, 'test sample')} of {plural(len(metrics.classes), 'class')},"
        f" the {kind} network named the right class {percent(accuracy)} of the time{within}."
        f" {plain}: {_against(accuracy, majority, material.interval)}."
    )


def _against(accuracy: float, majority: float, interval: tuple[float, float] | None) -> str:
    if accuracy <= majority:
        return "the network is no better than that, so it has learned nothing useful yet"
    if interval and interval[0] <= majority:
        return "the interval does not rule out that the network is no better than that"
    if accuracy == 1:
        return "the network makes no mistake on these samples"
    return f"the network makes {percent((accuracy - majority) / (1 - majority), 0)} fewer mistakes"


def certainty(material: Material) -> str:
    """Whether the network is surer of itself than it is right."""
    filled = [part for part in material.metrics.reliability if part.confidence is not None]
    sure = sum(part.count * (part.confidence or 0.0) for part in filled) / material.metrics.samples
    gap = sure - material.metrics.headline["accuracy"]
    if abs(gap) < 0.005:
        return f"On average the network is as sure ({percent(sure)}) as it is right."
    direction = "overconfident" if gap > 0 else "underconfident"
    return (
        f"On average the network is {percent(sure)} sure and {percent(material.metrics.headline['accuracy'])}"
        f" right: {direction} by {100 * abs(gap):.1f} points."
    )


def learned(material: Material) -> str:
    """How the training went, in a sentence or two."""
    training = material.training
    done, best, stopped = training["epochs_done"], training["best_epoch"], training["stopped"]
    ending = ", stopped early because nothing got better" if stopped == "early stopping" else ""
    best_kept = material.experiment.train.keep == "best"
    which = f"epoch {best}, the best by {monitored(material)}" if best_kept else f"the last, epoch {done}"
    return f"{plural(done, 'epoch')}{ending}. The weights that were tested are those of {which}."


def monitored(material: Material) -> str:
    """What made an epoch the best one, in words."""
    if not has_validation(material):
        return "training loss (nothing was held out)"
    return {"val_loss": "validation loss", "val_accuracy": "validation accuracy"}[material.experiment.train.monitor]


def has_validation(material: Material) -> bool:
    """Whether a validation split was measured in any epoch."""
    return any(math.isfinite(value) for value in material.history["val_loss"])


def inexact_resume(training: Mapping[str, Any]) -> list[str]:
    """A warning where a training was interrupted on a backend that does not go on exactly, by train.json."""
    if not training.get("inexact_resume"):
        return []
    return ["The training was interrupted and went on inexactly: running it again may give other weights."]


def warnings(material: Material) -> list[str]:
    """What a reader must know before trusting the numbers; mostly empty."""
    lines, metrics = [], material.metrics
    if not has_validation(material) and material.experiment.train.keep == "best":
        lines.append("No validation split was held out, so the best epoch was chosen by the training loss.")
    absent = [score.name for score in metrics.per_class if not score.support]
    if absent:
        names = ", ".join(absent[:5]) + (", …" if len(absent) > 5 else "")
        lines.append(f"{plural(len(absent), 'class')} without a test sample: {names}. Nothing is known about them.")
    lines += inexact_resume(material.training)
    if metrics.samples < 100:
        lines.append(f"Only {plural(metrics.samples, 'test sample')}: read every number with its interval in mind.")
    return lines
