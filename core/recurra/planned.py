"""What is run by a plan of several experiments: its record, and what a plan is checked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import ValidationError

from recurra.durable import read_json
from recurra.errors import InputError
from recurra.experiment import Experiment, Part
from recurra.home import Home
from recurra.run import Run, new_folder

SCHEMA = 1


class Planned(Run):
    """Like a run, with the stages of all of its experiments by role, and the plan; a folder among the runs'.

    It is no run, which is of one experiment, and `Run.open` does not find it. Nor is it resumed: the same command again
    makes a record of its own and finds in the store what is done.
    """

    PLAN: ClassVar[type[Part]]
    """The plan's class; it has an `experiment`."""
    COMMAND: ClassVar[str]
    """The command that runs it."""

    @classmethod
    def begin(cls, home: Home, plan: Any, file: Path | None = None) -> Self:
        """A new one, its name made from the time and the experiment."""
        folder = new_folder(home, f"{plan.experiment.name}-{cls.NOUN}")
        record = {
            "schema": SCHEMA,
            "id": folder.name,
            "name": plan.experiment.name,
            "plan": plan.model_dump(mode="json"),
            "file": str(file) if file else None,
            "folder": str(Path.cwd()),
            "status": "running",
            "pid": os.getpid(),
            "started": datetime.now().astimezone().isoformat(timespec="seconds"),
            "stages": {},
            "answer": None,
            "report": None,
        }
        begun = cls(home, folder, record)
        begun.save()
        return begun

    @classmethod
    def at(cls, home: Home, folder: Path) -> Self:
        """The one in a folder; an InputError where its record cannot be read."""
        try:
            record = read_json(folder / cls.FILE)
            complete = {"id", "plan", "status", "stages"} <= record.keys()
        except (OSError, ValueError, AttributeError):
            complete, record = False, {}
        if not complete or not all({"stage", "key"} <= done.keys() for done in record["stages"].values()):
            raise InputError(f"{folder / cls.FILE} is not a {cls.NOUN}'s record")
        return cls(home, folder, record)

    @classmethod
    def folders(cls, home: Home) -> list[Path]:
        """The folders of all of its kind, oldest first."""
        return sorted(path.parent for path in home.runs.glob(f"*/{cls.FILE}"))

    @classmethod
    def all(cls, home: Home) -> Iterator[Self]:
        """All of its kind that were ever begun, oldest first; an InputError at one whose record cannot be read."""
        for folder in cls.folders(home):
            yield cls.at(home, folder)

    def read_plan(self) -> Any:
        """What it does; an InputError where its record says nothing that can be done now."""
        try:
            return self.PLAN.model_validate(self.record["plan"])
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            where = ".".join(map(str, ("plan", *fault["loc"])))
            file = self.folder / self.FILE
            raise InputError(f"{file} is not a {self.NOUN}'s record ({where}: {fault['msg']})") from None

    @property
    def experiment(self) -> Experiment:
        """The one that all of its experiments are made from."""
        return self.read_plan().experiment

    @property
    def remedy(self) -> str:
        """The command that makes what is missing."""
        return f"the same `recurra {self.COMMAND} {self.record['file'] or 'FILE'} ...`"

    @property
    def roles(self) -> tuple[str, ...]:
        """Of the stages that were done, in order."""
        return tuple(self.record["stages"])


def distinct(values: tuple[Any, ...], noun: str) -> tuple[Any, ...]:
    """The values; a ValueError where there is none, or one twice."""
    if not values:
        raise ValueError(f"one {noun} at least is needed")
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        shown = f"{twice[0]:g}" if isinstance(twice[0], float) else twice[0]
        raise ValueError(f"{noun} {shown} is given twice")
    return values


def checked_seeds(values: tuple[int, ...]) -> tuple[int, ...]:
    """The seeds; a ValueError where there is none, one twice, or one that is no seed."""
    for seed in values:
        if not 0 <= seed < 2**32:
            raise ValueError(f"a seed lies from 0 to {2**32 - 1}, found {seed}")
    return distinct(values, "seed")


def refusal(error: ValidationError, whole: str) -> InputError:
    """Of a plan that was asked for on the command line; `whole` stands where no one option is to blame."""
    fault = error.errors(include_url=False)[0]
    option = f"--{fault['loc'][0]}" if fault["loc"] else whole
    return InputError(f"{option}: {fault['msg'].removeprefix('Value error, ')}")
