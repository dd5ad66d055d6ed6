"""The worker's body for `recurra generate`: samples of a run's GAN, as files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recurra.dataset import Dataset
from recurra.experiment import Experiment
from recurra.export import export as write
from recurra.export import settled
from recurra.generation import Samples, samples
from recurra.generators import trained_gan
from recurra.progress import Progress
from recurra.store import Store


def export(request: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Writes the samples into the folder `out`; answers how many, of which classes, in which format, and `notes`.

    request: `experiment`, `store`, `artifacts` (dataset, training), `counts` ([K], samples of each class), `seed`,
    `out`, `format`.
    """
    experiment, store = Experiment.model_validate(request["experiment"]), Store(Path(request["store"]))
    places = {name: store.place(*place) for name, place in request["artifacts"].items()}
    dataset, counts = Dataset.open(places["dataset"]), np.array(request["counts"], np.int64)
    form = settled(request["format"], dataset)
    gan = trained_gan(experiment, dataset, places["training"] / f"{experiment.train.keep}.safetensors")
    progress.begin("generate", int(counts.sum()), "samples")
    blocks = samples(gan, dataset, counts, request["seed"])
    notes = write(_watched(blocks, progress), dataset, Path(request["out"]), form)
    progress.end()
    return {
        "samples": int(counts.sum()),
        "classes": [name for name, count in zip(dataset.classes, counts, strict=True) if count],
        "format": form,
        "notes": notes,
    }


def _watched(blocks: Iterable[Samples], progress: Progress) -> Iterator[Samples]:
    done = 0
    for block in blocks:
        yield block
        done += len(block.labels)
        progress.advance(done)
