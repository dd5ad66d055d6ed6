"""Loading: a dataset of recurra's against the same array in a .npy file, both in the system's file cache."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from bench.scenario import CLASSES, IMAGE, Scenario
from recurra.batches import TrainingData
from recurra.dataset import Dataset
from recurra.experiment import Data, Experiment
from recurra.normalisation import Normalisation
from recurra.preprocess import preprocess
from recurra.progress import Progress, Silent
from recurra.readers.opening import open_source

SAMPLES = 60_000
TARGET = 0.8


@dataclass(frozen=True)
class Loading:
    """One way of using what was loaded: seconds of each round, from Parquet and from .npy."""

    name: str
    samples: int
    parquet: tuple[float, ...]
    npy: tuple[float, ...]
    target: float | None

    @property
    def ratios(self) -> list[float]:
        """How many times as fast Parquet was, round by round."""
        return [npy / parquet for parquet, npy in zip(self.parquet, self.npy, strict=True)]

    @property
    def ratio(self) -> float:
        """Their median."""
        return median(self.ratios)


def measure(samples: int, rounds: int, progress: Progress) -> list[Loading]:
    """To ready batches (one epoch of them), and to nothing but the array."""
    with tempfile.TemporaryDirectory(prefix="recurra-bench-") as name:
        folder = Path(name)
        experiment = Experiment(name="bench", data=Data(source=str(folder / "source.npz"), validation_fraction=0))
        progress.note(f"loading: writing {samples:,} images")
        normalisation = _write(folder, samples, experiment)

        def batches_of(load: Callable[[Path], tuple[np.ndarray, np.ndarray]]) -> None:
            pixels, labels = load(folder)
            for _ in TrainingData(pixels, labels, normalisation, experiment).epoch(1):
                pass

        return [
            _in_turns(
                "to ready batches",
                samples,
                lambda: batches_of(_from_parquet),
                lambda: batches_of(_from_npy),
                rounds,
                TARGET,
            ),
            _in_turns(
                "to an array",
                samples,
                lambda: Dataset.open(folder).splits["train"].pixels(),
                lambda: np.load(folder / "pixels.npy"),
                rounds,
                None,
            ),
        ]


def _write(folder: Path, samples: int, experiment: Experiment) -> Normalisation:
    """The dataset by way of the preprocess stage, and its training split again as .npy files."""
    train, test = Scenario("cnn", IMAGE, samples), Scenario("cnn", IMAGE, 10 * CLASSES)
    np.savez(
        folder / "source.npz",
        x_train=train.pixels[:, 0, ..., 0],
        y_train=train.labels,
        x_test=test.pixels[:, 0, ..., 0],
        y_test=test.labels,
    )
    dataset = preprocess(open_source(experiment.data.source, experiment.data), experiment, folder, Silent())
    np.save(folder / "pixels.npy", dataset.splits["train"].pixels())
    np.save(folder / "labels.npy", dataset.splits["train"].labels())
    return dataset.normalisation


def _from_parquet(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    split = Dataset.open(folder).splits["train"]
    return split.pixels(), split.labels()


def _from_npy(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    return np.load(folder / "pixels.npy"), np.load(folder / "labels.npy")


def _in_turns(
    name: str,
    samples: int,
    parquet: Callable[[], object],
    npy: Callable[[], object],
    rounds: int,
    target: float | None,
) -> Loading:
    taken = [(_seconds(parquet), _seconds(npy)) for _ in range(rounds + 1)][1:]
    ours, theirs = zip(*taken, strict=True)
    return Loading(name, samples, ours, theirs, target)


def _seconds(load: Callable[[], object]) -> float:
    start = time.perf_counter()
    load()
    return time.perf_counter() - start
