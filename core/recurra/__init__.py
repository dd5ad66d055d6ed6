"""Trains, compares and runs recognisers of images and clips that join convolutional and recurrent networks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurra.config import load_experiment
    from recurra.contract import (
        CONTRACT,
        Backend,
        Batches,
        Classifier,
        ClassifierSpec,
        Device,
        SampleShape,
        StepRecords,
    )
    from recurra.dataset import Dataset
    from recurra.errors import InputError, RecurraError
    from recurra.experiment import Experiment
    from recurra.home import Home
    from recurra.hookspecs import hookimpl
    from recurra.run import Run
    from recurra.stages import evaluate, preprocess, report, train
    from recurra.store import Artifact, Outcome, Store

_HOME = {
    "config": ("load_experiment",),
    "contract": (
        "CONTRACT",
        "Backend",
        "Batches",
        "Classifier",
        "ClassifierSpec",
        "Device",
        "SampleShape",
        "StepRecords",
    ),
    "dataset": ("Dataset",),
    "errors": ("InputError", "RecurraError"),
    "experiment": ("Experiment",),
    "home": ("Home",),
    "hookspecs": ("hookimpl",),
    "run": ("Run",),
    "stages": ("evaluate", "preprocess", "report", "train"),
    "store": ("Artifact", "Outcome", "Store"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "CONTRACT",
    "Artifact",
    "Backend",
    "Batches",
    "Classifier",
    "ClassifierSpec",
    "Dataset",
    "Device",
    "Experiment",
    "Home",
    "InputError",
    "Outcome",
    "RecurraError",
    "Run",
    "SampleShape",
    "StepRecords",
    "Store",
    "evaluate",
    "hookimpl",
    "load_experiment",
    "preprocess",
    "report",
    "train",
]


def __getattr__(name: str) -> Any:
    # Each name is imported when it is first used, so that `import recurra` costs next to nothing.
    if name not in _MODULE:
        raise AttributeError(f"module 'recurra' has no attribute '{name}'")
    return getattr(import_module(f"recurra.{_MODULE[name]}"), name)
