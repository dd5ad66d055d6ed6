"""A study's record: a folder among the runs' with study.json, written anew after every stage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from recurra.durable import read_json
from recurra.errors import InputError
from recurra.experiment import Experiment
from recurra.home import Home
from recurra.run import Run, new_folder
from recurra.study.plan import Plan

SCHEMA = 1


class Study(Run):
    """A study that is run: like a run, with the stages of all its cells by role (`Cell.role`) and the plan.

    It is no run, which is of one experiment, and `Run.open` does not find it. Nor is it resumed: the same command again
    makes a record of its own and finds in the store what is done.
    """

    FILE = "study.json"
    NOUN = "study"

    @classmethod
    def begin(cls, home: Home, plan: Plan, file: Path | None = None) -> Study:
        """A new study, its name made from the time and the experiment."""
        folder = new_folder(home, f"{plan.experiment.name}-study")
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
        study = cls(home, folder, record)
        study.save()
        return study

    @classmethod
    def at(cls, home: Home, folder: Path) -> Study:
        """The study in a folder; an InputError where its record cannot be read."""
        try:
            record = read_json(folder / cls.FILE)
            complete = {"id", "plan", "status", "stages"} <= record.keys()
        except (OSError, ValueError, AttributeError):
            complete, record = False, {}
        if not complete or not all({"stage", "key"} <= done.keys() for done in record["stages"].values()):
            raise InputError(f"{folder / cls.FILE} is not a study's record")
        return cls(home, folder, record)

    @property
    def plan(self) -> Plan:
        """What it does; an InputError where its record says nothing that can be done now."""
        try:
            return Plan.model_validate(self.record["plan"])
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            where = ".".join(map(str, ("plan", *fault["loc"])))
            raise InputError(f"{self.folder / self.FILE} is not a study's record ({where}: {fault['msg']})") from None

    @property
    def experiment(self) -> Experiment:
        """The recogniser's; each cell has one of its own, with its fraction and seed."""
        return self.plan.experiment

    @property
    def gan(self) -> Experiment:
        """The GAN's; each cell has one of its own."""
        return self.plan.gan

    @property
    def remedy(self) -> str:
        """The command that makes what is missing."""
        return f"the same `recurra augment {self.record['file'] or 'FILE'} ...`"

    @property
    def roles(self) -> tuple[str, ...]:
        """Of the stages that were done, in order."""
        return tuple(self.record["stages"])


def study_folders(home: Home) -> list[Path]:
    """The folders of all studies, oldest first."""
    return sorted(path.parent for path in home.runs.glob(f"*/{Study.FILE}"))


def studies(home: Home) -> Iterator[Study]:
    """All that were ever begun, oldest first; an InputError at one whose record cannot be read."""
    for folder in study_folders(home):
        yield Study.at(home, folder)
