"""Builds an experiment's classifier on its backend: the one place where core meets a framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recurra.blocks import ClassifierInBlocks, Note, unheard
from recurra.capabilities import able_backend
from recurra.contract import Backend, Classifier, ClassifierSpec, ParallelBackend, SampleShape
from recurra.errors import DeviceMemoryError, InputError, RecurraError
from recurra.experiment import Experiment
from recurra.weights import check_weights, layout


def spec_for(experiment: Experiment, sample: SampleShape, classes: int) -> ClassifierSpec:
    """What the experiment's network is on such samples; an InputError where it cannot be."""
    spec = ClassifierSpec(experiment.model, experiment.train, sample, classes)
    layout(spec)  # refuses widths that leave nothing of a frame
    return spec


def resolve_device(backend: Backend, wanted: str) -> str:
    """`cpu` or `gpu:N` for the experiment's `device`; an InputError that names what there is."""
    names = [device.name for device in backend.devices()]
    if wanted == "auto":
        return names[0]
    chosen = "gpu:0" if wanted == "gpu" else wanted
    if chosen not in names:
        raise InputError(f"device: {wanted} is not there for backend '{backend.name}'; it sees {', '.join(names)}")
    return chosen


def resolve_devices(backend: Backend, wanted: str, count: int) -> tuple[str, ...]:
    """The devices of a training by the experiment's `device` and `train.devices`: the first GPUs, or `cpu` so many
    times where that is wanted or there is no GPU. An InputError that names what there is.
    """
    if count == 1:
        return (resolve_device(backend, wanted),)
    names = [device.name for device in backend.devices()]
    gpus = tuple(name for name in names if name.startswith("gpu"))
    if wanted == "cpu" or (wanted == "auto" and not gpus):
        return ("cpu",) * count
    if wanted.startswith("gpu:"):
        raise InputError(f"device: {wanted} is one device, and train.devices is {count}; write device: gpu")
    if len(gpus) < count:
        raise InputError(f"train.devices: {count} GPUs are not there; backend '{backend.name}' sees {', '.join(names)}")
    return gpus[:count]


def in_words(devices: Sequence[str]) -> str:
    """`gpu:0`; of several `gpu:0, gpu:1`, or `2 x cpu`."""
    if len(devices) > 1 and len(set(devices)) == 1:
        return f"{len(devices)} x {devices[0]}"
    return ", ".join(devices)


@dataclass(frozen=True)
class Built:
    """A classifier and where it is."""

    classifier: Classifier
    backend: Backend
    devices: tuple[str, ...]
    spec: ClassifierSpec

    @property
    def device(self) -> str:
        """Where it is, in words."""
        return in_words(self.devices)

    @property
    def network(self) -> Classifier:
        """The classifier, by the name that it has in a training."""
        return self.classifier

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(int(np.prod(shape)) for shape in layout(self.spec).values())


def alone(experiment: Experiment) -> Experiment:
    """The experiment on one device, which is enough where nothing is learnt."""
    train = experiment.train.model_copy(update={"devices": 1})
    return experiment.model_copy(update={"train": train})


def build(
    experiment: Experiment,
    sample: SampleShape,
    classes: int,
    weights: Mapping[str, np.ndarray],
    origin: str,
    note: Note = unheard,
) -> Built:
    """The experiment's classifier with these weights, on `train.devices` devices.

    `origin` is named where the weights do not fit. `note` is told where answers come in smaller blocks, because the
    device's memory is full.
    """
    backend = able_backend(experiment)
    spec = spec_for(experiment, sample, classes)
    check_weights(weights, spec, origin)
    devices = resolve_devices(backend, experiment.device, experiment.train.devices)
    try:
        classifier = _classifier(backend, spec, devices, experiment.seed)
        classifier.load_weights(weights)
    except DeviceMemoryError as error:
        raise does_not_fit(in_words(devices)) from error
    return Built(ClassifierInBlocks(classifier, devices[0], note), backend, devices, spec)


def _classifier(backend: Backend, spec: ClassifierSpec, devices: tuple[str, ...], seed: int) -> Classifier:
    if len(devices) == 1:
        return backend.build(spec, devices[0], seed)
    if not isinstance(backend, ParallelBackend):
        raise RecurraError(f"backend '{backend.name}' claims data-parallel, and has no build_parallel; upgrade it")
    return backend.build_parallel(spec, devices, seed)


def does_not_fit(device: str) -> DeviceMemoryError:
    """What to say of a network whose weights alone are too many."""
    return DeviceMemoryError(f"out of memory on {device}: it does not hold the network itself; use a smaller model")
