"""The tables of the report of a GAN: headline numbers, measures with their floors, classes, motion, what made them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.gan_weights import gan_layout, has_clip_discriminator, is_trained
from recurra.generators import gan_spec_for
from recurra.progress import duration
from recurra.report import tables
from recurra.report.generator import words
from recurra.report.generator.material import Material, Measure
from recurra.report.tables import Pair, Tile, most_taken_for
from recurra.wording import percent, plural, rate

CLASSES = 100
"""Classes in a table at most; of more, those that are recognised least are shown."""


def tiles(material: Material) -> list[Tile]:
    """The headline numbers, the most telling first, each with what real samples have."""
    measured, measures, training = material.measured, material.measures, material.training
    tstr, trts, nearer = measured["tstr"], measured["trts"], measured["memorisation"]["nearer"]
    judge = percent(measured["trtr"]["accuracy"])
    return [
        Tile("Train on generated, test on real", percent(tstr["accuracy"]), f"trained on real: {judge}"),
        Tile("Seen as intended", _share(trts["accuracy"]), f"mean of classes; real: {_share(trts['floor'])}"),
        Tile("Fréchet distance", _number(measures["frechet"].value), _floor(measures["frechet"], _number)),
        Tile("Precision", _share(measures["precision"].value), _floor(measures["precision"], _share)),
        Tile("Recall", _share(measures["recall"].value), _floor(measures["recall"], _share)),
        Tile("Nearer to training than to test", _share(nearer["share"]), "of samples; new ones: 50%"),
        Tile("Training", duration(training["seconds"]), f"{rate(training['samples_per_second'])} samples/s"),
        Tile("Parameters", f"{training['parameters']:,}", f"on {training['device']}"),
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _within(error: float | None) -> str:
    return "" if error is None else f" ± {error:.2g}"


def _share(value: float | None) -> str:
    return "–" if value is None else percent(value)


def _floor(measure: Measure, shown: Callable[[float | None], str]) -> str:
    return f"real against real: {shown(measure.floor)}"


@dataclass(frozen=True)
class MeasureRow:
    """A measure, what real training samples have, and what that means."""

    name: str
    better: str
    value: str
    floor: str
    verdict: str


def measures(material: Material) -> list[MeasureRow]:
    """All that is compared with real samples, number by number."""
    found, low, high = material.measures, "lower is better", "higher is better"
    distance, share = words.distance_verdict, words.share_verdict
    rows = [
        ("Fréchet distance", low, "frechet", _number, distance(found["frechet"])),
        ("Kernel distance", low, "kernel", _number, words.kernel_verdict(found["kernel"])),
        ("Precision", high, "precision", _share, share(found["precision"], "samples lie off the real ones")),
        ("Recall", high, "recall", _share, share(found["recall"], "of the real variety is missing")),
        ("Diversity of the least diverse class", "1 is real", "diversity", _number,
         words.diversity_verdict(found["diversity"])),
    ]  # fmt: skip
    return [
        MeasureRow(
            name,
            better,
            shown(found[key].value) + _within(found[key].value_error),
            shown(found[key].floor) + _within(found[key].floor_error),
            verdict,
        )
        for name, better, key, shown, verdict in rows
    ]


@dataclass(frozen=True)
class ClassRow:
    """One class."""

    score: dict[str, Any]
    """As in metrics.json."""
    taken_for: Pair | None
    """What the judge most often takes its generated samples for, where not for it."""


ORDERS: dict[str, tuple[str, Callable[[ClassRow], Any]]] = {
    "trts": ("Seen as intended", lambda row: _lowest_first(row.score["trts"])),
    "class": ("Class", lambda _: 0),
    "tstr": ("Recall, trained on generated", lambda row: _lowest_first(row.score["tstr"])),
    "diversity": ("Diversity", lambda row: _lowest_first(row.score["diversity"])),
}
"""Name -> (heading, sort key) of each order of the table of classes. `class` keeps the data's own order."""


def _lowest_first(value: float | None) -> tuple[bool, float]:
    return value is None, value or 0.0


def class_orders(material: Material) -> dict[str, list[ClassRow]]:
    """The rows of the table of classes in each order that it can be shown in; of very many only the hardest."""
    confusion = np.asarray(material.measured["trts"]["confusion"], np.int64)
    rows = [
        ClassRow(score, most_taken_for(confusion, material.classes, number))
        for number, score in enumerate(material.measured["per_class"])
    ]
    if len(rows) > CLASSES:
        return {"trts": sorted(rows, key=ORDERS["trts"][1])[:CLASSES]}
    return {name: sorted(rows, key=key) for name, (_, key) in ORDERS.items()}


@dataclass(frozen=True)
class MotionTable:
    """One of the two numbers of motion."""

    title: str
    rows: list[tuple[str, dict[str, float | None]]]
    """(all clips or a class, its likeness as in metrics.json)."""


def motion(material: Material) -> list[MotionTable]:
    """How clips move beside how real ones do; empty for images, and where clips are too short."""
    found = material.measured["motion"] or {}
    titles = {"change": "Change from frame to frame", "jitter": "Jitter"}
    return [
        MotionTable(
            title,
            [("All clips", found[name]["overall"]), *zip(material.classes, found[name]["per_class"], strict=False)][
                : CLASSES + 1
            ],
        )
        for name, title in titles.items()
        if found.get(name)
    ]


def network(material: Material) -> list[tuple[str, str]]:
    """What was trained, where and for how long."""
    experiment, training, rnn = material.experiment, material.training, material.experiment.model.rnn
    directions = "both directions" if rnn.bidirectional else "forwards"
    layers = f"{plural(rnn.layers, 'layer')} of {rnn.units:,}"
    facts = [
        ("Recurrence", f"{rnn.cell.upper()}, {layers}, {directions}, {plural(material.dataset.sample.frames, 'step')}"),
        *_sizes(material),
        ("Loss", experiment.train.gan.loss),
        ("Backend", experiment.backend),
        ("Device", str(training["device"])),
        ("Seed", str(experiment.seed)),
        ("Batch size", tables.batch_size(experiment, training)),
        ("Epochs", f"{training['epochs_done']} of {experiment.train.epochs} ({training['stopped']})"),
        ("Weights judged", f"{experiment.train.keep}, epoch {material.tested_epoch}"),
        ("Training time", f"{duration(training['seconds'])}, {rate(training['samples_per_second'])} samples/s"),
    ]
    for name, record in (("Judge", material.judge), ("Student", material.student)):
        facts.append((name, f"{record['parameters']:,} parameters, trained in {duration(record['seconds'])}"))
    return facts


def _sizes(material: Material) -> list[tuple[str, str]]:
    """The weights of each of the networks."""
    spec = gan_spec_for(material.experiment, material.dataset)
    layout = {name: shape for name, shape in gan_layout(spec).items() if is_trained(name)}
    parts = {"generator": "Generator", "frame": "Frame discriminator"}
    if has_clip_discriminator(spec):
        parts["clip"] = "Clip discriminator"
    totals = {part: sum(int(np.prod(s)) for n, s in layout.items() if n.startswith(f"{part}.")) for part in parts}
    return [(title, f"{totals[part]:,} parameters") for part, title in parts.items()]


def data_facts(material: Material) -> list[tuple[str, str]]:
    """What the real data looks like, and how much was compared."""
    counts = material.measured["samples"]
    compared = f"{counts['compared']:,} of each kind, along {plural(counts['components'], 'component')}"
    return [
        *tables.data_facts(material.experiment, material.dataset),
        ("Generated", f"{counts['generated']:,} samples"),
        ("Compared", compared),
    ]


def digests(material: Material) -> list[tuple[str, str, str]]:
    """(what, its place in the artifact store, its sha256) of all that the report was made from."""
    artifacts, experiment = material.artifacts, material.experiment
    wholes = {
        "preprocess": "Dataset",
        "recogniser": "Judge",
        "train": "GAN",
        "generate": "Generated",
        "student": "Student",
    }
    rows = tables.whole_digests(artifacts, wholes)
    files = {
        "Weights judged": ("train", f"{experiment.train.keep}.safetensors"),
        "Measures": ("evaluate", "metrics.json"),
        "Pictures": ("evaluate", "pictures.safetensors"),
    }
    for title, (role, name) in files.items():
        found = artifacts[role]
        rows.append((title, f"{found.stage}/{found.key}/{name}", found.sha256(name)))
    return rows
