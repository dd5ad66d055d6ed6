"""The probe: what a backend answers, and what gradient it finds, with weights that any backend trained.

Two trainings on two backends part from each other by rounding alone, so their ends say little of the arithmetic. Here
every backend has the same weights and the same samples: what differs is its arithmetic and nothing else. Dropout is
off, for each backend draws its own, and so is clipping, which hides the gradient's size. The gradient is read from the
optimiser, which every backend has to show: after one step from m = 0, m = (1 - beta_1) g (`recurra.optimiser`).
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from recurra.batches import in_order
from recurra.checkpoint import read_arrays, write_arrays
from recurra.contract import Batches, Classifier
from recurra.dataset import Dataset
from recurra.evaluation import trained
from recurra.experiment import Experiment
from recurra.optimiser import BETA_1, MOMENTS
from recurra.progress import Progress

FILE = "probe.safetensors"
FORMAT = 1
TEST = 1000
"""Test samples whose logits are kept, the first ones of the split."""
TRAIN = 64
"""Training samples that the gradient is of, the first ones of the split as they are stored, not augmented."""
LOGITS, LOSS, GRADIENT = "logits", "loss", "gradient."


def plainly(experiment: Experiment) -> Experiment:
    """The experiment as it is probed: without dropout and clipping, on one device, a single batch of `TRAIN`."""
    plain = {"dropout": 0.0, "clip_norm": None, "weight_decay": 0.0, "batch_size": TRAIN, "devices": 1}
    return experiment.model_copy(update={"train": experiment.train.model_copy(update=plain)})


def probe(experiment: Experiment, dataset_folder: Path, weights: Path, folder: Path, progress: Progress) -> None:
    """Fills `folder` with probe.safetensors: `logits` [n, K], `loss` (the mean over the training samples) and
    `gradient.NAME` of it, for every weight, in canonical layout.
    """
    dataset = Dataset.open(dataset_folder)
    built = trained(plainly(experiment), dataset, weights)
    with TemporaryDirectory(dir=folder.parent) as scratch:
        logits = _logits(built.classifier, dataset, Path(scratch), progress)
        records = _gradient(built.classifier, dataset, Path(scratch))
    write_arrays(folder / FILE, {LOGITS: logits, **records}, {"device": built.device})


def read_probe(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a probe."""
    return read_arrays(path)[0]


def _logits(classifier: Classifier, dataset: Dataset, scratch: Path, progress: Progress) -> np.ndarray:
    pixels = dataset.splits["test"].pixels(scratch)[:TEST]
    progress.begin("probe", len(pixels), "samples")
    found = []
    for start, x in in_order(pixels, dataset.normalisation):
        found.append(classifier.logits(x))
        progress.advance(start + len(x))
    progress.end()
    return np.concatenate(found)


def _gradient(classifier: Classifier, dataset: Dataset, scratch: Path) -> dict[str, np.ndarray]:
    train = dataset.splits["train"]
    x = np.ascontiguousarray(dataset.normalisation.apply(train.pixels(scratch)[:TRAIN]), np.float32)
    y = train.labels()[:TRAIN].astype(np.int64)
    # At a learning rate of 0 the weights stay as they are.
    records = classifier.train_steps(Batches(x[None], y[None], np.zeros(1, np.float32), 0))
    state, first = classifier.training_state(), MOMENTS[0]
    gradient = {
        name.removeprefix(first): (moment / np.float32(1 - BETA_1)).astype(np.float32)
        for name, moment in state.items()
        if name.startswith(first)
    }
    return {LOSS: records.loss[:1].copy(), **{f"{GRADIENT}{name}": array for name, array in gradient.items()}}
