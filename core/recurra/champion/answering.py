"""What a champion says: of the new test split, of samples that are new to it, and of its own test split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from recurra.batches import in_order
from recurra.champion.drift import Said
from recurra.champion.sameness import rows_at_once
from recurra.champion.seeing import Seen
from recurra.contract import Classifier
from recurra.dataset import Dataset
from recurra.predictions import Predictions, PredictionWriter, softmax
from recurra.progress import Progress

ASKED = 5000
"""New samples that the champion is asked about, at most, evenly over all."""


def test_answers(classifier: Classifier, champion: Dataset, test: Seen, file: Path, progress: Progress) -> np.ndarray:
    """The class that the champion names for each test sample, [N] int64; -1 where its preprocessing refuses one.

    Written to `file` too, without a label where the champion does not know the class.
    """
    named = np.full(len(test.labels), -1, np.int64)
    known = np.where(test.labels < len(champion.classes), test.labels, -1)
    progress.begin("challenge", len(test.labels), "samples")
    with PredictionWriter(file, champion.classes) as writer:
        for start, x in in_order(test.pixels, champion.normalisation):
            rows = start + np.flatnonzero(test.readable[start : start + len(x)])
            if len(rows):
                logits = classifier.logits(x[rows - start])
                named[rows] = logits.argmax(axis=1)
                writer.write(rows, test.sources.take(pa.array(rows)).to_pylist(), known[rows], logits)
            progress.advance(start + len(x))
    progress.end()
    return named


def asked(
    classifier: Classifier,
    champion: Dataset,
    seen: Mapping[str, Seen],
    fresh: Mapping[str, np.ndarray],
    progress: Progress,
) -> Said:
    """What the champion says of the `fresh` samples, [N] bool of each split; of ASKED of them at most."""
    step = max(1.0, sum(int(new.sum()) for new in fresh.values()) / ASKED)
    labels, logits = [], [np.empty((0, len(champion.classes)), np.float32)]
    progress.begin("new samples", None, "samples")
    done = 0
    for name, new in fresh.items():
        every = np.flatnonzero(new)
        rows = every[np.arange(0, len(every), step).astype(np.int64)]
        labels.append(seen[name].labels[rows])
        at_once = rows_at_once(seen[name].pixels.shape[1:], seen[name].pixels.dtype)
        for start in range(0, len(rows), at_once):
            pixels = seen[name].pixels[rows[start : start + at_once]]
            logits += [classifier.logits(x) for _, x in in_order(pixels, champion.normalisation)]
            done += len(pixels)
            progress.advance(done)
    progress.end()
    probabilities = softmax(np.concatenate(logits))
    return Said(np.concatenate(labels), probabilities.argmax(axis=1), probabilities.max(axis=1))


def own_answers(predictions: Path) -> Said:
    """What it said of its own test split."""
    columns = ("label", "predicted", "confidence")
    table = pa.Table.from_batches(list(Predictions(predictions).blocks(columns)))
    label, predicted, confidence = (table[name].to_numpy() for name in columns)
    return Said(label.astype(np.int64), predicted.astype(np.int64), confidence.astype(np.float64))
