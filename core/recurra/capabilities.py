"""What an experiment asks of its backend, and whether the backend has it."""

from __future__ import annotations

from recurra.contract import Backend
from recurra.errors import InputError
from recurra.experiment import Experiment
from recurra.registry import load_backend


def able_backend(experiment: Experiment) -> Backend:
    """The experiment's backend; an InputError where it lacks the network or the precision. Imports no framework."""
    backend = load_backend(experiment.backend)
    able = ", ".join(sorted(backend.capabilities))
    for field, kind in _kinds(experiment).items():
        if kind not in backend.capabilities:
            raise InputError(f"{field}: backend '{backend.name}' has no {kind}; it has {able}")
    if experiment.train.precision == "bf16" and "bf16" not in backend.capabilities:
        raise InputError(f"train.precision: backend '{backend.name}' has no bf16")
    return backend


def _kinds(experiment: Experiment) -> dict[str, str]:
    """Field -> the kind of network that it asks for."""
    kinds: dict[str, str] = {"model.kind": experiment.model.kind}
    judge = experiment.evaluate.gan.recogniser.model
    if experiment.model.kind == "gan" and judge is not None:
        kinds["evaluate.gan.recogniser.model.kind"] = judge.kind
    return kinds
