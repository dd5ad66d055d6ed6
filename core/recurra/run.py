"""A run: one execution of an experiment, recorded in a folder of its own as run.json."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from recurra.champion.rules import PREFIX
from recurra.durable import read_json, write_json
from recurra.errors import InputError, nearest
from recurra.experiment import Experiment
from recurra.home import Home
from recurra.run_record import RECOGNISER, SCHEMA, fault_of, stages_of
from recurra.store import Artifact, Outcome


class Run:
    """One run's folder and its record, written anew (whole or not at all) after every change."""

    FILE: ClassVar[str] = "run.json"
    NOUN: ClassVar[str] = "run"

    def __init__(self, home: Home, folder: Path, record: dict[str, Any]) -> None:
        self.home, self.folder, self.record = home, folder, record

    @classmethod
    def create(cls, home: Home, experiment: Experiment, file: Path | None = None, gan: Experiment | None = None) -> Run:
        """A new run, its name made from the time, the experiment and the backend.

        `gan` is the experiment that `data.augment.gan` names (`recurra.gan_source`).
        """
        folder = new_folder(home, f"{experiment.name}-{experiment.backend}")
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
                "roles": list(stages_of(experiment)),
                "gan": gan.model_dump(mode="json") if gan else None,
                "stages": {},
                "metrics": {},
                "report": None,
            },
        )
        run.save()
        return run

    @classmethod
    def open(cls, home: Home, wanted: str) -> Run:
        """The run of that id, unique beginning of an id, or path; `latest` is the newest.

        A path opens the run in the home that it lies in, whatever `home` is. `champion:NAME` is the run in use.
        """
        if wanted.startswith(PREFIX):
            from recurra.champion.record import champion_run

            return champion_run(home, wanted)
        path = Path(wanted)
        if (path / "run.json").is_file():
            return cls._at(home, path.resolve())
        ids = [folder.name for folder in run_folders(home)]
        if not ids:
            raise InputError(f"no run '{wanted}': there are none in {home.runs}; `recurra run FILE` makes one")
        if wanted == "latest" and ids:
            return cls._read(home, home.runs / ids[-1])
        matches = [name for name in ids if name == wanted] or [name for name in ids if name.startswith(wanted)]
        if len(matches) == 1:
            return cls._read(home, home.runs / matches[0])
        if matches:
            raise InputError(f"run '{wanted}' is the beginning of several: {', '.join(matches[-5:])}")
        raise InputError(f"no run '{wanted}' in {home.runs}.{nearest(wanted, ids)} `recurra runs ls` lists them.")

    @classmethod
    def _at(cls, home: Home, folder: Path) -> Run:
        if folder.parent == home.runs.resolve():
            return cls._read(home, home.runs / folder.name)
        return cls._read(Home(folder.parent.parent) if folder.parent.name == "runs" else home, folder)

    @classmethod
    def _read(cls, home: Home, folder: Path) -> Run:
        record, fault = {}, "it cannot be read"
        with suppress(OSError, ValueError):
            record = read_json(folder / "run.json")
            fault = fault_of(record)
        if fault:
            raise InputError(f"{folder / 'run.json'} is not a run's record ({fault})")
        return cls(home, folder, record)

    @property
    def id(self) -> str:
        """The run's name, unique in its home."""
        return self.record["id"]

    @property
    def experiment(self) -> Experiment:
        """The experiment as it was resolved."""
        from recurra.config import validate

        return validate(self.record["experiment"], f"{self.folder / 'run.json'}: experiment")

    @property
    def gan(self) -> Experiment | None:
        """The experiment of the GAN whose samples are added to the training split; None where none are."""
        from recurra.config import validate

        recorded = self.record.get("gan")
        return validate(recorded, f"{self.folder / 'run.json'}: gan") if recorded else None

    @property
    def roles(self) -> tuple[str, ...]:
        """All of its stages, done or not, in order."""
        return tuple(self.record.get("roles", RECOGNISER))

    def done(self) -> dict[str, dict[str, Any]]:
        """What the record says of each stage that was done, by role, in order."""
        return {role: self.record["stages"][role] for role in self.roles if role in self.record["stages"]}

    def place(self, role: str) -> tuple[str, str]:
        """(stage, key) in the store of the artifact of a stage that was done."""
        record = self.record["stages"][role]
        return record.get("stage") or role, record["key"]

    @property
    def finished(self) -> bool:
        """Whether every stage was done."""
        return self.record["status"] == "done"

    def whole(self) -> bool:
        """Whether it finished and every artifact is there, every byte checked. A damaged one is set aside."""
        try:
            return self.finished and tuple(self.artifacts()) == self.roles
        except InputError:
            return False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the run while it is executed; an InputError where another process does.

        The kernel frees it however the holder ends. Within one process it can be held again.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self._lock, is_singleton=True, thread_local=False)
        try:
            lock.acquire(timeout=1)  # longer than a look by `running` takes
        except Timeout:
            pid = read_json(self.folder / self.FILE).get("pid")
            raise InputError(
                f"{self.NOUN} {self.id} is still running (pid {pid}); wait for its end, or stop it"
            ) from None
        try:
            yield
        finally:
            lock.release()

    @property
    def running(self) -> bool:
        """Whether a process holds it now."""
        from filelock import FileLock, Timeout

        if not self._lock.exists():
            return False
        try:
            with FileLock(self._lock, timeout=0):
                return False
        except Timeout:
            return True
        except OSError:  # not ours to lock: what the record says is all that is known
            return self.record["status"] == "running"

    @property
    def _lock(self) -> Path:
        return self.folder / "run.lock"

    def save(self) -> None:
        """Writes the record."""
        write_json(self.folder / self.FILE, self.record)

    def stage_done(self, outcome: Outcome, role: str) -> None:
        """Records a stage and the artifact that it made or found."""
        artifact = outcome.artifact
        self.record["stages"][role] = {
            "stage": artifact.stage,
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

    def artifact(self, role: str) -> Artifact:
        """The artifact of a stage, every byte checked; an InputError where the stage was not done or it is gone."""
        done = role in self.record["stages"]
        found = self.home.store.find(*self.place(role)) if done else None
        if found is None:
            state = "is damaged or gone from the store" if done else "was not made"
            raise InputError(f"{self.NOUN} {self.id}: its {role} artifact {state}; {self.remedy} makes it")
        return found

    @property
    def remedy(self) -> str:
        """The command that makes what is missing."""
        return f"`recurra resume {self.id}`"

    def artifacts(self) -> Mapping[str, Artifact]:
        """The artifact of each stage that was done, by role."""
        return {role: self.artifact(role) for role in self.done()}


def new_folder(home: Home, name: str) -> Path:
    """A new folder among the runs', named by the time and `name`; numbered where there is one already."""
    stem = f"{datetime.now():%Y%m%d-%H%M%S}-{name}"
    home.runs.mkdir(parents=True, exist_ok=True)
    folder = home.runs / stem
    for number in range(2, 10_000):
        try:
            folder.mkdir()
            break
        except FileExistsError:
            folder = home.runs / f"{stem}-{number}"
    return folder


def run_folders(home: Home) -> list[Path]:
    """The folders of all runs, oldest first."""
    return sorted(path.parent for path in home.runs.glob("*/run.json"))
