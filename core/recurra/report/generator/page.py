"""What the page shows of a GAN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from recurra.experiment import Experiment
from recurra.report.confusion import LARGEST, confusion_matrix
from recurra.report.generator import curves, previews, samples, tables, walks, words
from recurra.report.generator.material import Material, gather
from recurra.report.reproduction import configurations, reproduce
from recurra.report.tables import confused_pairs
from recurra.store import Artifact
from recurra.wording import plural


def content(experiment: Experiment, artifacts: Mapping[str, Artifact]) -> dict[str, Any]:
    """What `generator/template.html` is filled with, from a GAN's artifacts by role."""
    material = gather(experiment, artifacts)
    moving = tables.motion(material)
    return {
        "experiment": experiment,
        "tags": _tags(material),
        "contents": _contents(bool(moving)),
        "achieved": words.achieved(material),
        "warnings": words.warnings(material),
        "tiles": tables.tiles(material),
        "kind": words.kind(material),
        "class_count": len(material.classes),
        "scale": words.scale(material),
        "samples": samples.class_samples(material),
        "previews": previews.previews(material),
        "walks": {code: walks.walks(material, code) for code in ("content", "motion")},
        "learned": words.learned(material),
        "figures": curves.figures(material),
        "measured_count": material.training["measured"],
        "measures": tables.measures(material),
        "compared": material.measured["samples"],
        **_intentions(material),
        "orders": tables.class_orders(material),
        "headings": {name: heading for name, (heading, _) in tables.ORDERS.items()},
        "memory": material.measured["memorisation"],
        "memorised": words.memorised(material),
        "close": words.close(material),
        "gap": words.gap(material),
        "pairs_nearest": samples.nearest_pairs(material),
        "motion": moving,
        "data_facts": tables.data_facts(material),
        "network": tables.network(material),
        "environment": sorted(material.training["environment"].items()),
        "digests": tables.digests(material),
        "configurations": configurations(experiment),
        "reproduce": reproduce(experiment),
    }


def _intentions(material: Material) -> dict[str, Any]:
    """The intended classes beside those that the judge sees."""
    confusion = np.asarray(material.measured["trts"]["confusion"], np.int64)
    readable = len(material.classes) <= LARGEST
    return {
        "matrix": confusion_matrix(confusion, material.classes, "intended") if readable else None,
        "pairs": confused_pairs(confusion, material.classes),
    }


def _tags(material: Material) -> list[str]:
    counts = material.measured["samples"]
    return [
        "recurrent GAN",
        f"{material.experiment.backend} backend",
        str(material.training["device"]),
        plural(len(material.classes), "class"),
        plural(counts["generated"], f"generated {words.kind(material)}"),
    ]


def _contents(moving: bool) -> list[tuple[str, str]]:
    """(id, title) of the page's own sections."""
    places = {
        "results": "Results",
        "samples": "Samples",
        "measures": "Measures",
        "intended": "Intended and seen",
        "classes": "Classes",
        "copies": "Copies",
        **({"motion": "Motion"} if moving else {}),
        "codes": "Codes",
        "learning": "Learning",
        "data": "Data",
    }
    return list(places.items())
