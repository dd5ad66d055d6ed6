"""The generate stage: labelled samples of a trained GAN, as a dataset like any other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recurra.dataset import FORMAT, Dataset
from recurra.dataset_writer import DatasetWriter, Rows
from recurra.experiment import Experiment
from recurra.generators import BuiltGan, generated, trained_gan
from recurra.normalisation import Statistics
from recurra.progress import Progress
from recurra.splits import SPLITS


@dataclass(frozen=True)
class Samples:
    """Some generated samples, as pixels."""

    numbers: np.ndarray
    """[n] int64, each one's number among all of the seed."""
    labels: np.ndarray
    """[n] int64."""
    pixels: np.ndarray
    """[n, T, H, W, C], of the dataset's dtype and scale."""


def per_class(experiment: Experiment, dataset: Dataset) -> np.ndarray:
    """[K] int64: how many samples of each class judge a GAN: `evaluate.gan.per_class`, or as many as there are to train
    on, so that a recogniser of generated samples has what one of real ones has.
    """
    count = experiment.evaluate.gan.per_class
    return dataset.count("train") if count is None else np.full(len(dataset.classes), count, np.int64)


def to_validate(counts: np.ndarray, dataset: Dataset) -> np.ndarray:
    """[K] int64: how many more of each class are a validation split, in the real splits' proportion; 0 without one."""
    if "validation" not in dataset.splits:
        return np.zeros_like(counts)
    share = len(dataset.splits["validation"]) / len(dataset.splits["train"])
    return np.maximum(1, np.round(counts * share)).astype(np.int64)


def beside_real(counts: np.ndarray, share: float) -> np.ndarray:
    """[K] int64: how many samples of each class stand beside the real ones [K], `data.augment.generated` for each."""
    return np.maximum(1, np.round(counts * share)).astype(np.int64)


def samples(built: BuiltGan, dataset: Dataset, counts: np.ndarray, seed: int) -> Iterator[Samples]:
    """`counts` [K] samples of each class, in blocks; classes in turn, so that any part of them has all."""
    numbers = np.concatenate([np.arange(n) * len(counts) + k for k, n in enumerate(counts)])
    numbers.sort()
    labels = numbers % len(counts)
    for start, x in generated(built, labels, seed, numbers):
        block = slice(start, start + len(x))
        yield Samples(numbers[block], labels[block], dataset.normalisation.restore(x, dataset.dtype))


def generate(
    experiment: Experiment,
    dataset_folder: Path,
    weights: Path,
    counts: np.ndarray,
    folder: Path,
    progress: Progress,
    validation: bool = True,
) -> Dataset:
    """A dataset of generated samples, written into `folder`; equal input gives equal bytes.

    It has the real dataset's classes, shape, dtype and normalisation, so that a recogniser takes the one for the other.
    `counts` [K] samples of each class are its training split. With `validation`, and where the real dataset has one, so
    many more are a validation split.
    """
    dataset = Dataset.open(dataset_folder)
    built = trained_gan(experiment, dataset, weights, progress.note)
    held_out = to_validate(counts, dataset) if validation else np.zeros_like(counts)
    made = np.zeros((len(SPLITS), len(counts)), np.int64)
    statistics: Statistics | None = None
    done = 0
    progress.begin("generate", int((counts + held_out).sum()), "samples")
    with DatasetWriter(folder, dataset.sample, str(dataset.dtype), dataset.classes) as writer:
        for block in samples(built, dataset, counts + held_out, experiment.seed):
            held = block.numbers // len(counts) >= counts[block.labels]
            for split, chosen in (("train", ~held), ("validation", held)):
                if chosen.any():
                    writer.write(split, rows_of(block, chosen, dataset))
                    made[SPLITS.index(split)] += np.bincount(block.labels[chosen], minlength=len(counts))
            if not held.all():
                found = Statistics.of(block.pixels[~held])
                statistics = found if statistics is None else statistics.joined(found)
            done += len(block.labels)
            progress.advance(done)
        assert statistics is not None
        writer.finish(metadata(dataset, statistics, made, {"generated": True, "seed": experiment.seed}), [])
    progress.end()
    return Dataset.open(folder)


def rows_of(block: Samples, chosen: np.ndarray, dataset: Dataset) -> Rows:
    """The chosen samples as rows of a dataset; their source says what they are."""
    labels, numbers = block.labels[chosen], block.numbers[chosen]
    return Rows(
        pixels=block.pixels[chosen],
        labels=labels.astype(np.int32),
        sources=[
            f"generated/{dataset.classes[label]}/{number // len(dataset.classes):06}"
            for label, number in zip(labels.tolist(), numbers.tolist(), strict=True)
        ],
        lengths=np.full(len(labels), dataset.sample.frames, np.int32),
    )


def metadata(dataset: Dataset, statistics: Statistics, counts: np.ndarray, settings: dict[str, Any]) -> dict[str, Any]:
    """The summary of a dataset that is made like `dataset`, with other samples: `counts` [splits, K] of them."""
    return {
        "format": FORMAT,
        "kind": dataset.sample.kind,
        "classes": list(dataset.classes),
        "sample": dataset.summary["sample"],
        "dtype": str(dataset.dtype),
        "counts": {name: row.tolist() for name, row in zip(SPLITS, counts, strict=True)},
        "statistics": statistics.to_json(),
        "normalisation": dataset.summary["normalisation"],
        "recipe": dataset.summary["recipe"],
        "settings": settings,
        "refused": {"samples": 0, "other": 0},
    }
