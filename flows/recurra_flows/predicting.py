"""The worker's body for `recurra predict`: unlabelled files through a run's own preprocessing and network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recurra.dataset import Dataset
from recurra.errors import InputError
from recurra.evaluation import trained
from recurra.experiment import Experiment
from recurra.predictions import PredictionWriter
from recurra.preprocess import prepare
from recurra.progress import Progress
from recurra.readers.reader import Refused, Source
from recurra.readers.unlabelled import open_unlabelled
from recurra.store import Store

SHOWN = 1000
"""Predictions that are answered, for a terminal; all of them are in the file."""


def predict(request: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Writes the predictions to `out`; answers how many there are, the first of them, and what could not be read.

    request: `experiment`, `store`, `artifacts` (dataset, training), `paths`, `out` (.parquet or .csv).
    """
    experiment, dataset, weights = given(request)
    source = open_unlabelled([Path(path) for path in request["paths"]], dataset.sample.kind, experiment.data)
    classifier = trained(experiment, dataset, weights, progress.note).classifier
    refused, first, done = list(source.refused), [], 0
    progress.begin("predict", len(source.samples), "samples")
    with PredictionWriter(Path(request["out"]), dataset.classes, labelled=False) as writer:
        for rows, x, unreadable in prepared(source, dataset):
            refused += unreadable
            if len(rows):
                names: list[str] = [source.samples.sources[int(row)] for row in rows]
                logits = classifier.logits(x)
                writer.write(rows, names, None, logits)
                first += _shown(names, logits, dataset.classes)[: SHOWN - len(first)]
                done += len(rows)
                progress.advance(done)
        progress.end()
        if not done:
            raise InputError(f"nothing could be read: {_reasons(refused)}")
    return {
        "predicted": done,
        "classes": list(dataset.classes),
        "first": first,
        "refused": [{"source": each.source, "reason": each.reason} for each in refused],
    }


def given(request: Mapping[str, Any]) -> tuple[Experiment, Dataset, Path]:
    """A request's experiment, the dataset that its network was trained on, and the file of its weights."""
    experiment, store = Experiment.model_validate(request["experiment"]), Store(Path(request["store"]))
    places = {name: store.place(*place) for name, place in request["artifacts"].items()}
    weights = places["training"] / f"{experiment.train.keep}.safetensors"
    return experiment, Dataset.open(places["dataset"]), weights


def prepared(source: Source, dataset: Dataset) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[Refused, ...]]]:
    """Rows [n], network input [n, T, H, W, C] float32, and what was refused on the way."""
    for rows, pixels, refused in prepare(source, dataset):
        yield rows, dataset.normalisation.apply(pixels), refused


def _shown(names: Sequence[str], logits: np.ndarray, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    from recurra.predictions import softmax

    probabilities = softmax(logits[:SHOWN])
    return [
        {"source": name, "class": classes[int(row.argmax())], "confidence": round(float(row.max()), 6)}
        for name, row in zip(names, probabilities, strict=False)
    ]


def _reasons(refused: list[Refused]) -> str:
    shown = "; ".join(f"{each.source}: {each.reason}" for each in refused[:3])
    return shown + (f" (and {len(refused) - 3} more)" if len(refused) > 3 else "")
