"""Builds an experiment's classifier on its backend: the one place where core meets a framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recurra.capabilities import able_backend
from recurra.contract import Backend, Classifier, ClassifierSpec, SampleShape
from recurra.errors import InputError
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


@dataclass(frozen=True)
class Built:
    """A classifier and where it is."""

    classifier: Classifier
    backend: Backend
    device: str
    spec: ClassifierSpec

    @property
    def network(self) -> Classifier:
        """The classifier, by the name that it has in a training."""
        return self.classifier

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(int(np.prod(shape)) for shape in layout(self.spec).values())


def build(
    experiment: Experiment, sample: SampleShape, classes: int, weights: Mapping[str, np.ndarray], origin: str
) -> Built:
    """The experiment's classifier with these weights; `origin` is named where they do not fit."""
    backend = able_backend(experiment)
    spec = spec_for(experiment, sample, classes)
    check_weights(weights, spec, origin)
    device = resolve_device(backend, experiment.device)
    classifier = backend.build(spec, device, experiment.seed)
    classifier.load_weights(weights)
    return Built(classifier, backend, device, spec)
