"""A sweep's record: a folder in the home's `sweeps` with sweep.json, and the trials in optuna.db."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from recurra.errors import InputError
from recurra.home import Home
from recurra.planned import SCHEMA, Planned
from recurra.sweep.plan import Plan


class Sweep(Planned):
    """A sweep that is run, with the stages of its trials by role (`role`).

    The same plan on the same data is the same sweep, in the same folder, which is one of the home's `sweeps`: the same
    command goes on with it.
    """

    FILE = "sweep.json"
    NOUN = "sweep"
    PLAN = Plan
    COMMAND = "sweep"

    @classmethod
    def begin(
        cls, home: Home, plan: Any, file: Path | None = None, made_from: Mapping[str, Any] | None = None
    ) -> Sweep:
        """The sweep of the plan, new or to go on with. `made_from`: what it is of beside the plan, its data and the
        versions; with other ones it is another sweep.
        """
        folder = home.path / "sweeps" / plan.identity(made_from or {})
        folder.mkdir(parents=True, exist_ok=True)
        known: dict[str, Any] = {}
        with suppress(InputError):
            known = cls.at(home, folder).record
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        record = {
            "schema": SCHEMA,
            "id": folder.name,
            "name": plan.experiment.name,
            "plan": plan.model_dump(mode="json"),
            "file": str(file) if file else None,
            "folder": str(Path.cwd()),
            "started": known.get("started", now),
            "stages": known.get("stages", {}),
            "status": "begun",
            "best": None,
            "answer": None,
            "report": None,
        }
        return cls(home, folder, record)

    @classmethod
    def folders(cls, home: Home) -> list[Path]:
        """The folders of all sweeps, by name."""
        return sorted(path.parent for path in (home.path / "sweeps").glob(f"*/{cls.FILE}"))

    @property
    def plan(self) -> Plan:
        """What it does; an InputError where its record says nothing that can be done now."""
        return self.read_plan()

    def start(self) -> None:
        """Records that it runs, in this process; for who holds it."""
        self.record |= {"status": "running", "pid": os.getpid(), "ended": None, "error": None}
        self.save()


def role(number: int, *what: str) -> str:
    """The name of something of a trial among all of the sweep: `trial-7-train`."""
    return "-".join([f"trial-{number}", *what])
