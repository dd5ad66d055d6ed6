"""The report's tables: headline numbers, classes, confused pairs, what it was made with and from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.dataset import Dataset
from recurra.experiment import Experiment
from recurra.metrics import ClassScore, Metrics
from recurra.progress import duration
from recurra.report.material import Material
from recurra.store import Artifact
from recurra.wording import percent, plural, rate

CLASSES = 100
"""Classes in the table at most; of more, those with the lowest F1 are shown."""
PAIRS = 12


@dataclass(frozen=True)
class Tile:
    """One headline number."""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Pair:
    """One class taken for another."""

    true: str
    predicted: str
    count: int
    share: float
    """Of the samples of the true class."""


@dataclass(frozen=True)
class ClassRow:
    """One row of the table of classes."""

    score: ClassScore
    taken_for: Pair | None
    """What it is most often mistaken for."""


def tiles(material: Material) -> list[Tile]:
    """The headline numbers, the most telling first."""
    headline, training = material.metrics.headline, material.training
    k, top = material.top_k
    interval = material.interval
    within = (
        f"95% interval: {percent(interval[0])} to {percent(interval[1])}" if interval else "no interval was asked for"
    )
    among_all = f"there are only {plural(k, 'class')}"
    return [
        Tile("Accuracy", percent(headline["accuracy"]), within),
        Tile("Macro F1", f"{headline['macro_f1']:.3f}", "every class counts the same"),
        Tile(
            f"Top-{k} accuracy",
            percent(top),
            among_all if k == len(material.metrics.classes) else f"right within {plural(k, 'answer')}",
        ),
        Tile("Log loss", f"{headline['log_loss']:.3f}", "0 is perfect"),
        Tile("Calibration error", percent(headline["ece"]), "ECE, 0 is perfect"),
        Tile("Training", duration(training["seconds"]), f"{rate(training['samples_per_second'])} samples/s"),
        Tile("Evaluation", f"{rate(material.samples_per_second)}/s", "test samples per second"),
        Tile("Parameters", f"{training['parameters']:,}", f"on {training['device']}"),
    ]


def confused_pairs(confusion: np.ndarray, classes: Sequence[str], count: int = PAIRS) -> list[Pair]:
    """The `count` confusions [K, K] that happen most, most first; of equals the first classes."""
    wrong = confusion * (1 - np.eye(len(classes), dtype=np.int64))
    order = np.argsort(-wrong.ravel(), kind="stable")[:count]
    places = [divmod(int(place), len(classes)) for place in order if wrong.flat[place]]
    return [_pair(confusion, classes, row, column) for row, column in places]


def _pair(confusion: np.ndarray, classes: Sequence[str], row: int, column: int) -> Pair:
    count = int(confusion[row, column])
    return Pair(classes[row], classes[column], count, count / int(confusion[row].sum()))


def most_taken_for(confusion: np.ndarray, classes: Sequence[str], number: int) -> Pair | None:
    """What a class is most often mistaken for; None where it never is."""
    wrong = confusion[number].copy()
    wrong[number] = 0
    worst = int(wrong.argmax())
    return _pair(confusion, classes, number, worst) if wrong[worst] else None


def _row(metrics: Metrics, number: int) -> ClassRow:
    return ClassRow(metrics.per_class[number], most_taken_for(metrics.confusion, metrics.classes, number))


ORDERS: dict[str, tuple[str, Callable[[ClassRow], Any]]] = {
    "f1": ("F1", lambda row: _lowest_first(row.score.f1)),
    "class": ("Class", lambda _: 0),
    "precision": ("Precision", lambda row: _lowest_first(row.score.precision)),
    "recall": ("Recall", lambda row: _lowest_first(row.score.recall)),
    "support": ("Test samples", lambda row: -row.score.support),
}
"""Name -> (heading, sort key) of each order of the table of classes. `class` keeps the data's own order."""


def _lowest_first(value: float | None) -> tuple[bool, float]:
    return value is None, value or 0.0


def class_orders(metrics: Metrics) -> dict[str, list[ClassRow]]:
    """The rows of the table of classes in each order that it can be shown in; of very many only the hardest."""
    rows = [_row(metrics, number) for number in range(len(metrics.classes))]
    if len(rows) > CLASSES:
        return {"f1": sorted(rows, key=ORDERS["f1"][1])[:CLASSES]}
    return {name: sorted(rows, key=key) for name, (_, key) in ORDERS.items()}


def network(material: Material) -> list[tuple[str, str]]:
    """What was trained, where and for how long."""
    experiment, training, sample = material.experiment, material.training, material.dataset.sample
    read = "row by row" if sample.kind == "image" else "frame by frame"
    facts = [
        ("Network", experiment.model.kind),
        ("Parameters", f"{training['parameters']:,}"),
        ("Backend", experiment.backend),
        ("Device", str(training["device"])),
        ("Seed", str(experiment.seed)),
        ("Batch size", batch_size(experiment, training)),
        ("Epochs", f"{training['epochs_done']} of {experiment.train.epochs} ({training['stopped']})"),
        ("Weights tested", f"{experiment.train.keep} (best epoch: {training['best_epoch']})"),
        ("Training time", f"{duration(training['seconds'])}, {rate(training['samples_per_second'])} samples/s"),
    ]
    if experiment.model.kind != "cnn":
        facts.insert(1, ("Recurrence", f"{experiment.model.rnn.cell.upper()}, {sample.steps} steps, {read}"))
    return facts


def batch_size(experiment: Experiment, training: Mapping[str, Any]) -> str:
    """`128`, or `128 (auto)`, by train.json."""
    asked = experiment.train.batch_size
    found = training.get("batch_size", asked)  # a training of before that was recorded says nothing
    return f"{found} (auto)" if asked == "auto" else str(found)


def data_facts(experiment: Experiment, dataset: Dataset) -> list[tuple[str, str]]:
    """What the data looks like."""
    sample = dataset.sample
    colour = "grey" if sample.channels == 1 else "colour"
    form = f"{sample.height} × {sample.width} pixels, {colour}, {dataset.dtype.name}"
    if sample.kind == "clip":
        form = f"clips of {plural(sample.frames, 'frame')}, {form}"
    sizes = [f"{len(split):,} {name}" for name, split in dataset.splits.items() if len(split)]
    facts = [
        ("Source", experiment.data.source),
        ("Samples", ", ".join(sizes)),
        ("Form", form),
        ("Classes", f"{len(dataset.classes):,}"),
    ]
    if dataset.refused:
        facts.append(("Left out", f"{plural(len(dataset.refused), 'sample')} that could not be used"))
    return facts


def generated_facts(material: Material, gan: Experiment | None) -> list[tuple[str, str]]:
    """How many generated samples there were to train on besides, where there were any, and whose."""
    if material.generated is None:
        return []
    whose = gan.name if gan else material.experiment.data.augment.gan
    return [("Generated", f"{len(material.generated.splits['train']):,} more to train on, by the GAN {whose}")]


def whole_digests(artifacts: Mapping[str, Artifact], titles: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(title, place in the artifact store, sha256) of each artifact that there is, by role."""
    return [
        (title, f"{artifacts[role].stage}/{artifacts[role].key}", artifacts[role].digest)
        for role, title in titles.items()
        if role in artifacts
    ]


def digests(material: Material) -> list[tuple[str, str, str]]:
    """(what, its place in the artifact store, its sha256) of all that the report was made from."""
    artifacts = material.artifacts
    weights = f"{material.experiment.train.keep}.safetensors"
    train, evaluate = artifacts["train"], artifacts["evaluate"]
    wholes = {
        "preprocess": "Dataset" if material.generated is None else "Real samples",
        "recogniser": "Judge",
        "gan": "GAN",
        "generate": "Generated samples",
        "augment": "Real and generated samples",
    }
    return [
        *whole_digests(artifacts, wholes),
        ("Training", f"train/{train.key}", train.digest),
        ("Weights tested", f"train/{train.key}/{weights}", train.sha256(weights)),
        ("Predictions", f"evaluate/{evaluate.key}/predictions.parquet", evaluate.sha256("predictions.parquet")),
        ("Metrics", f"evaluate/{evaluate.key}/metrics.json", evaluate.sha256("metrics.json")),
    ]
