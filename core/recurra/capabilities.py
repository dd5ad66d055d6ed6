"""What an experiment asks of its backend, and whether the backend has it."""

from __future__ import annotations

from collections.abc import Iterator

from recurra.contract import Backend
from recurra.errors import InputError
from recurra.experiment import Experiment, Train
from recurra.judgement.judges import DEFAULTS
from recurra.registry import load_backend

JUDGE = "evaluate.gan.recogniser"


def able_backend(experiment: Experiment) -> Backend:
    """The experiment's backend; an InputError where it lacks a network, a precision or training on several devices.

    Imports no framework.

    Of a GAN, those of the recogniser that judges it are asked for as well.
    """
    backend = load_backend(experiment.backend)
    able = ", ".join(sorted(backend.capabilities))
    for field, kind in _kinds(experiment):
        if kind not in backend.capabilities:
            raise InputError(f"{field}: backend '{backend.name}' has no {kind}; it has {able}")
    for field, train in _trainings(experiment).items():
        if train.precision == "bf16" and "bf16" not in backend.capabilities:
            raise InputError(f"{field}.precision: backend '{backend.name}' has no bf16")
        if train.devices > 1 and "data-parallel" not in backend.capabilities:
            raise InputError(
                f"{field}.devices: {train.devices}, and backend '{backend.name}' has no data-parallel; it has {able}"
            )
    return backend


def _kinds(experiment: Experiment) -> Iterator[tuple[str, str]]:
    """(field, the kind of network that it asks for)."""
    yield "model.kind", experiment.model.kind
    if experiment.model.kind != "gan":
        return
    judge = experiment.evaluate.gan.recogniser.model
    if judge is not None:
        yield f"{JUDGE}.model.kind", judge.kind
        return
    for sample, kind in DEFAULTS.items():
        # Before the source is read, `data.kind` alone can say what it has.
        if experiment.data.kind in ("auto", f"{sample}s"):
            yield f"{JUDGE}.model (left out: a {kind} for {sample}s)", kind


def _trainings(experiment: Experiment) -> dict[str, Train]:
    """Field -> how a network is trained."""
    own = {"train": experiment.train}
    return own | {f"{JUDGE}.train": experiment.evaluate.gan.recogniser.train} if experiment.model.kind == "gan" else own
