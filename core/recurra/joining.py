"""Real samples and generated ones as one dataset: more to train on, the same to validate and to test on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from recurra.dataset import Dataset, Split
from recurra.dataset_writer import DatasetWriter, Rows
from recurra.generation import metadata
from recurra.normalisation import Statistics
from recurra.progress import Progress
from recurra.splits import SPLITS

ROWS = 512
"""Copied at once."""


def join(real_folder: Path, generated_folder: Path, folder: Path, progress: Progress) -> Dataset:
    """The real dataset with the generated training samples after its own, written into `folder`."""
    real, made = Dataset.open(real_folder), Dataset.open(generated_folder)
    parts = [(name, split) for name, split in real.splits.items()] + [("train", made.splits["train"])]
    counts = np.zeros((len(SPLITS), len(real.classes)), np.int64)
    statistics: Statistics | None = None
    grouped = real.splits["train"].groups() is not None
    done = 0
    progress.begin("augment", sum(len(split) for _, split in parts), "samples")
    with DatasetWriter(folder, real.sample, str(real.dtype), real.classes, grouped) as writer:
        for name, split in parts:
            for rows in _rows(split, grouped):
                writer.write(name, rows)
                counts[SPLITS.index(name)] += np.bincount(rows.labels, minlength=len(real.classes))
                if name == "train":
                    found = Statistics.of(rows.pixels)
                    statistics = found if statistics is None else statistics.joined(found)
                done += len(rows.labels)
                progress.advance(done)
        assert statistics is not None
        joined = {"real": len(real.splits["train"]), "generated": len(made.splits["train"])}
        writer.finish(metadata(real, statistics, counts, {"joined": joined}), [])
    progress.end()
    return Dataset.open(folder)


def _rows(split: Split, grouped: bool) -> Iterator[Rows]:
    labels, sources, lengths = split.labels().astype(np.int32), split.sources(), split.lengths().astype(np.int32)
    groups = split.groups() or [""] * len(split)
    start = 0
    for pixels in split.blocks(ROWS):
        block = slice(start, start + len(pixels))
        yield Rows(pixels, labels[block], sources[block], lengths[block], groups[block] if grouped else None)
        start = block.stop
