"""What the page shows of a recogniser."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from recurra.experiment import Experiment
from recurra.report import gallery, tables, words
from recurra.report.calibration import reliability_diagram
from recurra.report.confusion import LARGEST, confusion_matrix
from recurra.report.curves import Curves, Line, learning_curves
from recurra.report.material import Material, gather
from recurra.report.reproduction import configurations, reproduce
from recurra.store import Artifact
from recurra.wording import plural

CONTENTS = [
    ("results", "Results"),
    ("learning", "Learning"),
    ("confusions", "Confusions"),
    ("classes", "Classes"),
    ("calibration", "Calibration"),
    ("mistakes", "Mistakes"),
    ("data", "Data"),
]
"""(id, title) of the page's own sections."""


def content(experiment: Experiment, artifacts: Mapping[str, Artifact], gan: Experiment | None = None) -> dict[str, Any]:
    """What `recogniser.html` is filled with, from the artifacts `preprocess`, `train` and `evaluate`.

    `gan` is that of the generated samples among those that it was trained on.
    """
    material = gather(experiment, artifacts)
    metrics, dataset = material.metrics, material.dataset
    pairs = tables.confused_pairs(metrics.confusion, metrics.classes)
    readable = len(metrics.classes) <= LARGEST
    matrix = confusion_matrix(metrics.confusion, metrics.classes) if readable else None
    mistakes = metrics.samples - int(metrics.confusion.trace())
    return {
        "experiment": experiment,
        "metrics": metrics,
        "tags": _tags(material),
        "contents": CONTENTS,
        "achieved": words.achieved(material),
        "warnings": words.warnings(material),
        "tiles": tables.tiles(material),
        "learned": words.learned(material),
        "curves": _curves(material),
        "has_validation": words.has_validation(material),
        "matrix": matrix,
        "pairs": pairs,
        "mistake_count": mistakes,
        "pairs_share": sum(pair.count for pair in pairs) / max(1, mistakes),
        "orders": tables.class_orders(metrics),
        "headings": {name: heading for name, (heading, _) in tables.ORDERS.items()},
        "certainty": words.certainty(material),
        "reliability": reliability_diagram(metrics.reliability),
        "mistakes": gallery.surest_mistakes(material),
        "examples": gallery.class_examples(dataset, material.generated),
        "generated": material.generated is not None,
        "class_count": len(dataset.classes),
        "kind": dataset.sample.kind,
        "data_facts": tables.data_facts(experiment, dataset) + tables.generated_facts(material, gan),
        "network": tables.network(material),
        "environment": sorted(material.training["environment"].items()),
        "digests": tables.digests(material),
        "configurations": configurations(experiment, gan),
        "reproduce": reproduce(experiment, gan),
        "top_k": material.top_k[0],
        "uniform_loss": math.log(len(metrics.classes)),
    }


def _tags(material: Material) -> list[str]:
    experiment, dataset = material.experiment, material.dataset
    return [
        f"{experiment.model.kind} network",
        f"{experiment.backend} backend",
        str(material.training["device"]),
        plural(len(dataset.classes), "class"),
        plural(material.metrics.samples, f"test {dataset.sample.kind}"),
    ]


def _curves(material: Material) -> list[tuple[str, Markup]]:
    history, best = material.history, int(material.training["best_epoch"])
    drawn = []
    for name, share in (("loss", False), ("accuracy", True)):
        lines = (
            Line("training", "train", history[f"train_{name}"]),
            Line("validation", "validation", history[f"val_{name}"]),
        )
        curves = Curves(name.capitalize(), history["epoch"].astype(int), lines, best, share)
        drawn.append((curves.title, learning_curves(curves)))
    return drawn
