"""The evaluate stage: predictions of the test split, a row per sample, and what they are worth."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from recurra.batches import in_order
from recurra.blocks import Note, unheard
from recurra.checkpoint import read_arrays
from recurra.classifiers import Built, alone, build
from recurra.dataset import Dataset
from recurra.durable import write_json
from recurra.experiment import Experiment
from recurra.metrics import measure
from recurra.predictions import PredictionWriter
from recurra.progress import Progress


def trained(experiment: Experiment, dataset: Dataset, weights: Path, note: Note = unheard) -> Built:
    """The experiment's classifier with the weights of a safetensors file, whichever backend trained them; on one
    device, of however many it was trained. `note` is told where its answers come in smaller blocks.
    """
    arrays, _ = read_arrays(weights)
    return build(alone(experiment), dataset.sample, len(dataset.classes), arrays, str(weights), note)


def evaluate(experiment: Experiment, dataset_folder: Path, weights: Path, folder: Path, progress: Progress) -> None:
    """Fills `folder` with predictions.parquet and metrics.json."""
    dataset = Dataset.open(dataset_folder)
    built, test = trained(experiment, dataset, weights, progress.note), dataset.splits["test"]
    labels, sources = test.labels(), test.sources()
    logits, seconds = [], 0.0
    progress.begin("evaluate", len(test), "samples")
    with (
        TemporaryDirectory(dir=folder.parent) as scratch,
        PredictionWriter(folder / "predictions.parquet", dataset.classes) as writer,
    ):
        for start, x in in_order(test.pixels(Path(scratch)), dataset.normalisation):
            began, stop = time.monotonic(), start + len(x)
            logits.append(built.classifier.logits(x))
            seconds += time.monotonic() - began
            writer.write(np.arange(start, stop), sources[start:stop], labels[start:stop], logits[-1])
            progress.advance(stop)
    progress.end()
    metrics = measure(labels, np.concatenate(logits), dataset.classes, experiment.evaluate, experiment.seed)
    record = metrics.to_json() | {"samples_per_second": len(test) / max(1e-9, seconds)}
    write_json(folder / "metrics.json", record)
