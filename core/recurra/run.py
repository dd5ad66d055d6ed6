"""A run: one execution of an experiment, recorded in a folder of its own as run.json."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from recurra.durable import read_json, write_json
from recurra.errors import InputError, nearest
from recurra.experiment import Experiment
from recurra.home import Home
from recurra.store import Artifact, Outcome

STAGES = ("preprocess", "train", "evaluate", "report")
SCHEMA = 1


class Run:
    """One run's folder and its record, written anew (whole or not at all) after every change."""

    def __init__(self, home: Home, folder: Path, record: dict[str, Any]) -> None:
        self.home, self.folder, self.record = home, folder, record

    @classmethod
    def create(cls, home: Home, experiment: Experiment, file: Path | None = None) -> Run:
        """A new run, its name made from the time, the experiment and the backend."""
        stem = f"{datetime.now():%Y%m%d-%H%M%S}-{experiment.name}-{experiment.backend}"
        home.runs.mkdir(parents=True, exist_ok=True)
        folder = home.runs / stem
        for number in range(2, 10_000):
            try:
                folder.mkdir()
                break
            except FileExistsError:
                folder = home.runs / f"{stem}-{number}"
        run = cls(
            home,
            folder,
            {
                "schema": SCHEMA,
                "id": folder.name,
                "name": experiment.name,
                "backend": experiment.backend,
                "model": experiment.model.kind,
                "experiment": experiment.model_dump(mode="json"),
                "file": str(file) if file else None,
                "folder": str(Path.cwd()),
                "status": "running",
                "pid": os.getpid(),
                "started": datetime.now().astimezone().isoformat(timespec="seconds"),
                "stages": {},
                "metrics": {},
                "report": None,
            },
        )
        run.save()
        return run

    @classmethod
    def open(cls, home: Home, wanted: str) -> Run:
        """The run of that id, unique beginning of an id, or path; `latest` is the newest."""
        path = Path(wanted)
        if (path / "run.json").is_file():
            return cls._read(home, path.absolute())
        ids = [folder.name for folder in run_folders(home)]
        if wanted == "latest" and ids:
            return cls._read(home, home.runs / ids[-1])
        matches = [name for name in ids if name == wanted] or [name for name in ids if name.startswith(wanted)]
        if len(matches) == 1:
            return cls._read(home, home.runs / matches[0])
        if matches:
            raise InputError(f"run '{wanted}' is the beginning of several: {', '.join(matches[-5:])}")
        raise InputError(f"no run '{wanted}' in {home.runs}.{nearest(wanted, ids)} `recurra runs ls` lists them.")

    @classmethod
    def _read(cls, home: Home, folder: Path) -> Run:
        try:
            record = read_json(folder / "run.json")
            if not {"id", "stages", "experiment", "status"} <= record.keys():
                raise ValueError("not a run's record")
        except (OSError, ValueError, AttributeError):
            raise InputError(
                f"{folder / 'run.json'} is not a run's record (it cannot be read, or was changed)"
            ) from None
        return cls(home, folder, record)

    @property
    def id(self) -> str:
        """The run's name, unique in its home."""
        return self.record["id"]

    @property
    def experiment(self) -> Experiment:
        """The experiment as it was resolved."""
        return Experiment.model_validate(self.record["experiment"])

    @property
    def finished(self) -> bool:
        """Whether every stage was done."""
        return self.record["status"] == "done"

    def save(self) -> None:
        """Writes run.json."""
        write_json(self.folder / "run.json", self.record)

    def stage_done(self, outcome: Outcome) -> None:
        """Records a stage and the artifact that it made or found."""
        artifact = outcome.artifact
        self.record["stages"][artifact.stage] = {
            "cache": outcome.cache,
            "why": outcome.why,
            "seconds": round(outcome.seconds, 3),
            "artifact": str(artifact.path),
            "key": artifact.key,
            "digest": artifact.digest,
        }
        self.save()

    def finish(self, status: str, **fields: Any) -> None:
        """Records how the run ended (`done`, `failed`, `stopped`), and further fields (metrics, report, error)."""
        ended = datetime.now().astimezone().isoformat(timespec="seconds")
        self.record.update(status=status, ended=ended, **fields)
        self.save()

    def artifact(self, stage: str) -> Artifact:
        """The artifact of a stage, every byte checked; an InputError where the stage was not done or it is gone."""
        done = self.record["stages"].get(stage)
        found = self.home.store.find(stage, done["key"]) if done else None
        if found is None:
            state = "is damaged or gone from the store" if done else "was not made"
            raise InputError(f"run {self.id}: its {stage} artifact {state}; `recurra resume {self.id}` makes it")
        return found

    def artifacts(self) -> Mapping[str, Artifact]:
        """The artifact of each stage that was done."""
        return {stage: self.artifact(stage) for stage in STAGES if stage in self.record["stages"]}


def run_folders(home: Home) -> list[Path]:
    """The folders of all runs, oldest first."""
    return sorted(path.parent for path in home.runs.glob("*/run.json"))
