"""What a run's record says, run.json: of which stages the run consists, and what each one made or found."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from recurra.experiment import Experiment

RECOGNISER = ("preprocess", "train", "evaluate", "report")
AUGMENTED = ("preprocess", "recogniser", "gan", "generate", "augment", "train", "evaluate", "report")
GAN = ("preprocess", "recogniser", "train", "generate", "student", "evaluate", "report")
SCHEMA = 1


def stages_of(experiment: Experiment) -> tuple[str, ...]:
    """The stages of a run, by role, in order; one of the store's stages can have several roles.

    Those of a GAN: `recogniser` is trained on real samples and measures the generated ones, `student` is trained on
    those. A recogniser that takes generated samples has a GAN's `recogniser` and `gan` before its own stages.
    """
    if experiment.model.kind == "gan":
        return GAN
    return AUGMENTED if experiment.data.augment.gan else RECOGNISER


@dataclass(frozen=True)
class StageRecord:
    """What a run's record says of a stage that was done."""

    cache: str
    why: str
    seconds: float
    artifact: str
    key: str
    digest: str
    stage: str | None = None
    """The store's stage; in records of before there were GANs the role says it."""


@dataclass(frozen=True)
class RunRecord:
    """What every run.json has. Readers count on it; a file that lacks any of it is refused."""

    schema: Literal[1]
    id: str
    name: str
    backend: str
    model: str
    experiment: dict[str, Any]
    folder: str
    status: str
    started: str
    stages: dict[str, StageRecord]
    """By role."""
    metrics: dict[str, Any]
    report: str | None
    roles: list[str] = field(default_factory=lambda: list(RECOGNISER))
    """All that the run consists of, in order."""
    gan: dict[str, Any] | None = None
    """The experiment of the GAN that `data.augment.gan` named when the run began."""
    flow_run: str | None = None
    """The id of the Prefect flow run that has it, or had it last."""


@cache
def _check() -> TypeAdapter[RunRecord]:
    return TypeAdapter(RunRecord)


def fault_of(record: Any) -> str:
    """What keeps a value from being a run's record, in words; empty where it is one."""
    try:
        _check().validate_python(record)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" if fault["loc"] else fault["msg"]
    return ""
