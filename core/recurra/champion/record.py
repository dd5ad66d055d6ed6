"""A champion's record, champion.json in HOME/champions/NAME: which run is in use, since when and why; all decisions.

Written whole or not at all, under a lock beside it. What it names lies in the store, and the records of the runs keep
it there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from recurra.champion.rules import NAME, PREFIX
from recurra.durable import read_json, write_json
from recurra.errors import InputError, nearest
from recurra.home import Home
from recurra.run import Run
from recurra.store import Artifact

SCHEMA = 1
FILE = "champion.json"
Made = Literal["promoted", "kept", "rolled back"]


@dataclass(frozen=True)
class Network:
    """A run that is or was a champion, or wanted to be."""

    run: str
    weights: str
    """sha256 of its weights: two runs that found the same training are the same network."""
    artifacts: dict[str, dict[str, str]]
    """By role: stage, key and digest."""
    metrics: dict[str, float]
    """Of its own test split."""
    test: dict[str, Any]
    """That split: the dataset's key and digest, and its samples."""


@dataclass(frozen=True)
class Decision:
    """One entry of the history."""

    at: str
    decision: Made
    network: Network
    """Which was promoted, refused, or gone back to."""
    before: str | None
    """The run that was the champion then; None where there was none."""
    why: str
    challenge: dict[str, str] | None = None
    """Key and digest of the artifact with all that was measured; None where nothing was."""
    accuracy: dict[str, Any] | None = None
    """Of both on the same test samples, and the interval of the difference."""
    alarms: list[str] = field(default_factory=list)
    """Drift, in words."""
    dismissed: str | None = None
    """Of a roll-back: the weights (sha256) of the network that was given up."""
    told: bool = False
    """Whether the events of it were sent."""


@dataclass(frozen=True)
class Record:
    """What champion.json holds."""

    name: str
    history: list[Decision] = field(default_factory=list)
    schema: Literal[1] = SCHEMA

    @property
    def reign(self) -> Decision | None:
        """The decision by which the current network became the champion; None where there is none yet."""
        return next((each for each in reversed(self.history) if each.decision != "kept"), None)

    @property
    def current(self) -> Network | None:
        """The network in use."""
        return self.reign.network if self.reign else None

    @property
    def former(self) -> dict[str, Network]:
        """All networks that were champions, by run, the first one first."""
        return {each.network.run: each.network for each in self.history if each.decision != "kept"}

    def dismissed(self, weights: str) -> bool:
        """Whether somebody gave that network up, and nobody took it back since."""
        gone = False
        for each in self.history:
            if each.decision != "kept" and each.network.weights == weights:
                gone = False
            if each.dismissed == weights:
                gone = True
        return gone

    def to_json(self) -> dict[str, Any]:
        """Plain values. `current` is there for readers; `history` says it all."""
        reign = self.reign
        current = None
        if reign is not None:
            current = {**asdict(reign.network), "since": reign.at, "why": reign.why}
        return {"schema": self.schema, "name": self.name, "current": current, "history": asdict(self)["history"]}


def champions(home: Home) -> list[str]:
    """The names of all champions, in order."""
    return sorted(path.parent.name for path in _root(home).glob(f"*/{FILE}"))


def folder_of(home: Home, name: str) -> Path:
    """Where a champion's record lies; an InputError for what cannot be a champion's name."""
    if not re.fullmatch(NAME, name):
        raise InputError(f"no champion can be named '{name}': expected letters, digits, dots, dashes and underscores")
    return _root(home) / name


def read(home: Home, name: str) -> Record:
    """The record of that name; one without history where there is none. An InputError where it cannot be read."""
    path = folder_of(home, name) / FILE
    if not path.exists():
        return Record(name)
    fault = "it cannot be read"
    with suppress(OSError, ValueError):
        value = read_json(path)
        try:
            return _check().validate_python({key: value[key] for key in ("name", "history", "schema")})
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            fault = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        except (KeyError, TypeError):
            fault = "it lacks schema, name or history"
    raise InputError(f"{path} is not a champion's record ({fault}); mend it from a copy, or remove it to begin anew")


def existing(home: Home, name: str) -> Record:
    """The record of that name; an InputError that names the nearest where there is no champion."""
    record = read(home, name)
    if record.reign is None:
        known = champions(home)
        there = f"`recurra champion ls` lists {len(known)}" if known else "`retrain` makes the first"
        raise InputError(f"no champion '{name}' in {_root(home)}.{nearest(name, known)} {there}")
    return record


@contextmanager
def changing(home: Home, name: str) -> Iterator[list[Decision]]:
    """The history, to be added to; what it is after the block is written, unless the block fails or changes nothing.

    One process at a time: others wait.
    """
    from filelock import FileLock

    folder = folder_of(home, name)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "champion.lock"):
        record = read(home, name)
        history = list(record.history)
        yield history
        if history != record.history:
            write_json(folder / FILE, Record(name, history).to_json())


def champion_run(home: Home, wanted: str) -> Run:
    """The run in use of `champion:NAME`; an InputError where there is none, and as `run_of`."""
    name = wanted.removeprefix(PREFIX)
    record = existing(home, name)
    assert record.current is not None  # one that exists has one
    return run_of(home, name, record.current)


def run_of(home: Home, name: str, network: Network) -> Run:
    """The run of a network; an InputError where its folder or an artifact is gone, or where it has another network now.

    By the manifests alone: whoever opens an artifact has every byte of it checked.
    """
    folder, instead = home.runs / network.run, _instead(home, name, network)
    if not (folder / Run.FILE).is_file():
        raise InputError(f"champion {name}: the folder of its run {network.run} is gone from {home.runs}; {instead}")
    run = Run.open(home, str(folder))
    for role, made in network.artifacts.items():
        found = home.store.peek(*run.place(role)) if role in run.record["stages"] else None
        if found is None:
            fault = f"the {role} artifact of run {run.id} is gone from the store; {run.remedy} makes it, {instead}"
        elif not _same(role, found, made["digest"], network.weights):
            fault = f"the {role} artifact of run {run.id} is not the one that became the champion; {instead}"
        else:
            continue
        raise InputError(f"champion {name}: {fault}")
    return run


def _same(role: str, found: Artifact, digest: str, weights: str) -> bool:
    """Whether an artifact is the champion's: made again it may be another, on another processor say."""
    if role == "train":  # beside the weights are times, which are others each time
        return weights in (file["sha256"] for file in found.files.values())
    return role == "evaluate" or found.digest == digest


def _instead(home: Home, name: str, network: Network) -> str:
    """What to type where a network cannot be had."""
    if any(run != network.run for run in read(home, name).former):
        return f"`recurra champion rollback {name} --to RUN` takes another (`recurra champion show {name}` lists them)"
    return f"remove {folder_of(home, name) / FILE} to begin anew, or retrain with another `rules.champion`"


def now() -> str:
    """The time, as records have it."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _root(home: Home) -> Path:
    return home.path / "champions"


@cache
def _check() -> TypeAdapter[Record]:
    return TypeAdapter(Record)
