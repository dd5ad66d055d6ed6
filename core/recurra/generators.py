"""Builds an experiment's GAN on its backend, and makes samples with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recurra.batches import inference_batch
from recurra.blocks import GanInBlocks, Note, unheard
from recurra.capabilities import able_backend
from recurra.checkpoint import read_arrays
from recurra.classifiers import does_not_fit, resolve_device
from recurra.contract import Backend, GanBackend, GanSpec, RecurrentGan
from recurra.dataset import Dataset
from recurra.errors import DeviceMemoryError, RecurraError
from recurra.experiment import Experiment
from recurra.gan_weights import is_trained
from recurra.latents import Purpose, latents
from recurra.weights import check_weights, layout


def gan_spec_for(experiment: Experiment, dataset: Dataset) -> GanSpec:
    """What the experiment's GAN is on such a dataset; an InputError where it cannot be."""
    bounds = None
    if dataset.dtype == np.uint8:
        ends = dataset.normalisation.apply(np.repeat(np.array([[0], [255]], np.uint8), dataset.sample.channels, axis=1))
        low, high = np.sort(ends, axis=0).tolist()
        bounds = tuple(zip(low, high, strict=True))
    spec = GanSpec(experiment.model, experiment.train, dataset.sample, len(dataset.classes), bounds)
    layout(spec)  # refuses widths that leave nothing of a frame
    return spec


@dataclass(frozen=True)
class BuiltGan:
    """A GAN and where it is."""

    network: RecurrentGan
    backend: Backend
    device: str
    spec: GanSpec

    @property
    def devices(self) -> tuple[str, ...]:
        """Its one device."""
        return (self.device,)

    @property
    def parameters(self) -> int:
        """Number of weights that are trained, the discriminators' among them; the average is no more of them."""
        return sum(int(np.prod(shape)) for name, shape in layout(self.spec).items() if is_trained(name))


def build_gan(
    experiment: Experiment, dataset: Dataset, weights: Mapping[str, np.ndarray], origin: str, note: Note = unheard
) -> BuiltGan:
    """The experiment's GAN with these weights; `origin` is named where they do not fit, and `note` is told where
    samples come in smaller blocks because the device's memory is full.
    """
    backend = able_backend(experiment)
    if not isinstance(backend, GanBackend):
        raise RecurraError(f"backend '{backend.name}' claims gan, and has no build_gan; upgrade its plugin")
    spec = gan_spec_for(experiment, dataset)
    check_weights(weights, spec, origin)
    device = resolve_device(backend, experiment.device)
    try:
        network = backend.build_gan(spec, device)
        network.load_weights(weights)
    except DeviceMemoryError as error:
        raise does_not_fit(device) from error
    return BuiltGan(GanInBlocks(network, device, note), backend, device, spec)


def trained_gan(experiment: Experiment, dataset: Dataset, weights: Path, note: Note = unheard) -> BuiltGan:
    """The experiment's GAN with the weights of a safetensors file, whichever backend trained them."""
    arrays, _ = read_arrays(weights)
    return build_gan(experiment, dataset, arrays, str(weights), note)


def numbered(labels: np.ndarray, classes: int) -> np.ndarray:
    """The number of each sample among all that a seed stands for: labels [N] -> [N] int64.

    The j-th sample of class k is number j K + k, so that asking for more of each class leaves the first ones as they
    are.
    """
    order = np.argsort(labels, kind="stable")
    first = np.searchsorted(labels[order], np.arange(classes))
    within = np.empty(len(labels), np.int64)
    within[order] = np.arange(len(labels)) - first[labels[order]]
    return within * classes + labels


def generated(
    built: BuiltGan, labels: np.ndarray, seed: int, numbers: np.ndarray | None = None, purpose: Purpose = ""
) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, x [n, T, H, W, C] float32, normalised) over all labels [N], in blocks.

    `numbers` are the samples' own among all that the seed stands for; left out: those of `numbered`.
    """
    spec = built.spec
    rows = numbered(labels, spec.classes) if numbers is None else numbers
    size = inference_batch(spec.sample.array)
    for start in range(0, len(labels), size):
        block = slice(start, start + size)
        yield start, built.network.generate(latents(spec, seed, rows[block], purpose), labels[block])


def balanced(count: int, classes: int) -> np.ndarray:
    """Labels [count] int64 in turn, of every class as many, but for the last few."""
    return np.arange(count, dtype=np.int64) % classes
