"""A study's record: a folder among the runs' with study.json, written anew after every stage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from recurra.durable import read_json, write_json
from recurra.errors import InputError
from recurra.home import Home
from recurra.run import Run
from recurra.study.plan import Plan

FILE = "study.json"
SCHEMA = 1


class Study(Run):
    """A study that is run: like a run, with the stages of all its cells by role (`Cell.role`) and the plan.

    It is no run, and `recurra runs` does not list it: a run is of one experiment. Nor is it resumed: the same command
    again makes a record of its own and finds in the store what is done.
    """

    @classmethod
    def begin(cls, home: Home, plan: Plan, file: Path | None = None) -> Study:
        """A new study, its name made from the time and the experiment."""
        stem = f"{datetime.now():%Y%m%d-%H%M%S}-{plan.experiment.name}-study"
        home.runs.mkdir(parents=True, exist_ok=True)
        folder = home.runs / stem
        for number in range(2, 10_000):
            try:
                folder.mkdir()
                break
            except FileExistsError:
                folder = home.runs / f"{stem}-{number}"
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
            record = read_json(folder / FILE)
            complete = {"id", "plan", "status", "stages"} <= record.keys()
        except (OSError, ValueError, AttributeError):
            complete, record = False, {}
        if not complete or not all({"stage", "key"} <= done.keys() for done in record["stages"].values()):
            raise InputError(f"{folder / FILE} is not a study's record")
        return cls(home, folder, record)

    @property
    def plan(self) -> Plan:
        """What it does."""
        return Plan.model_validate(self.record["plan"])

    @property
    def roles(self) -> tuple[str, ...]:
        """Of the stages that were done, in order."""
        return tuple(self.record["stages"])

    def save(self) -> None:
        """Writes study.json."""
        write_json(self.folder / FILE, self.record)


def studies(home: Home) -> Iterator[Study]:
    """All that were ever begun, oldest first; an InputError at one whose record cannot be read."""
    for path in sorted(home.runs.glob(f"*/{FILE}")):
        yield Study.at(home, path.parent)
