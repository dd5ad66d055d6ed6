"""The project file, recurra.yaml: where the dashboard is, and which flow runs when."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator, model_validator

from recurra.config import load_experiment, read_fields, validated
from recurra.errors import nearest
from recurra.experiment import Experiment, Part

FILE = "recurra.yaml"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
LONGEST = timedelta(days=365)
OfExperiment = Literal["run", "retrain", "compare", "sweep", "augment"]
"""The flows that an experiment file describes."""
FlowName = Literal[OfExperiment, "score", "maintain"]
"""The flows that can have a schedule."""
Overlap = Literal["queue", "refuse"]
WITH_EXPERIMENT = get_args(OfExperiment)


def _duration(value: Any) -> Any:
    """`90s`, `15m`, `6h`, `1d`, `1h 30m` as a timedelta."""
    if isinstance(value, timedelta):
        return value
    text = str(value).strip()
    if not re.fullmatch(rf"(?:{_DURATION.pattern}\s*)+", text):
        raise ValueError("expected a time such as 30s, 15m, 6h or 1d")
    seconds = sum(float(count) * UNITS[unit] for count, unit in _DURATION.findall(text))
    if seconds > LONGEST.total_seconds():
        raise ValueError(f"expected {LONGEST.days}d at most")
    return timedelta(seconds=seconds)


def _shown(value: timedelta) -> str:
    return f"{value.total_seconds():g}s"


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(_shown, when_used="json")]


class Schedule(Part):
    """One deployment: a flow, its parameters, and when it runs."""

    flow: FlowName = "retrain"
    """What is run."""
    experiment: Path | None = None
    """The experiment file, from where the project file is."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Fields of the experiment to set otherwise, such as train.epochs: 20."""
    cron: str | None = None
    """When: minute, hour, day of the month, month, day of the week."""
    every: Annotated[Duration, Field(ge=timedelta(seconds=1))] | None = None
    """Or how often: 30s, 15m, 6h, 1d. Without either it is run by hand alone."""
    timezone: str = "UTC"
    """Whose clock cron means, such as Europe/Paris."""
    overlap: Overlap = "queue"
    """What becomes of a run that would start while another is going on: it waits, or it is left out."""
    parameters: dict[str, Any] = Field(default_factory=dict, alias="with")
    """The flow's further parameters."""
    timeout: Annotated[Duration, Field(ge=timedelta(seconds=1))] | None = None
    """The longest that a run may take."""
    retries: Annotated[int, Field(ge=0, le=100)] = 0
    """How often a run that failed is tried again, each time after a longer wait."""
    paused: bool = False
    """Whether its times are left out for now."""

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (OSError, ValueError, KeyError):
            raise ValueError(f"no such timezone.{nearest(value, sorted(available_timezones()))}") from None
        return value

    @model_validator(mode="after")
    def _whole(self) -> Schedule:
        if self.cron is not None and self.every is not None:
            raise ValueError("cron and every are both given; leave one out")
        if self.flow in WITH_EXPERIMENT and self.experiment is None:
            raise ValueError(f"experiment is missing: {self.flow} needs an experiment file")
        if self.flow not in WITH_EXPERIMENT and (self.experiment is not None or self.set):
            raise ValueError(f"experiment and set have no meaning for {self.flow}; leave them out")
        return self

    def read_experiment(self, folder: Path) -> Experiment | None:
        """The experiment that it names, with its own settings; None where its flow takes none."""
        if self.experiment is None:
            return None
        return load_experiment(folder / self.experiment, settings=self.set)

    @property
    def when(self) -> str:
        """In words."""
        every = self.every.total_seconds() if self.every else 0
        unit = next((name for name in "dhm" if every and every % UNITS[name] == 0), "s")
        return self.cron or (f"every {every / UNITS[unit]:g}{unit}" if every else "by hand")


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


class Project(Part):
    """A project file."""

    port: Annotated[int, Field(ge=1, le=65_535)] = 4200
    """Of the dashboard. Where it is taken, the next free one is used, and said."""
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:_-]+$")] = "127.0.0.1"
    """The address that the dashboard is reached at; any but this machine's own needs PREFECT_SERVER_API_AUTH_STRING."""
    data: Path = Path("data")
    """Where artifacts, runs and the dashboard's database are kept; RECURRA_HOME counts first."""
    at_once: Annotated[int, Field(ge=1, le=1000)] = 1
    """Flow runs that go on at once."""
    schedules: dict[str, Schedule] = Field(default_factory=dict)
    """By name: letters, digits, dot, dash and underscore."""

    @field_validator("schedules", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        for name in value if isinstance(value, dict) else ():
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise ValueError(f"'{name}' is no name: letters, digits, dot, dash and underscore, 80 at most")
        return {} if value is None else value

    def files(self, folder: Path) -> list[Path]:
        """The experiment files that its schedules name."""
        return sorted({folder / each.experiment for each in self.schedules.values() if each.experiment is not None})


def load_project(path: Path) -> Project:
    """The project that the file describes; an InputError in one line."""
    with suppress(OSError):  # said below
        if not path.read_bytes().strip():
            return Project()
    return validated(Project, read_fields(path, "a project file", "`schedules:`"), str(path))
