"""The artifact store: what a stage made, under a name made from its inputs, there whole or not at all.

store/STAGE/KEY/manifest.json + the artifact's files
store/inputs/STAGE/KEY.json       the inputs of every artifact ever made, to say why a stage ran again
store/partial/STAGE-KEY/          what a stage keeps while it runs (checkpoints)
store/tmp/, store/locks/, store/damaged/
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recurra.durable import fsync_folder, fsync_tree, read_json, write_json
from recurra.errors import RecurraError

SCHEMA = 1
KIND = "model.kind"
Inputs = Mapping[str, Any]


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def key_of(inputs: Inputs) -> str:
    """The name of the artifact that is made from these inputs: 32 hexadecimal digits of a sha256."""
    return hashlib.sha256(canonical(inputs).encode()).hexdigest()[:32]


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Artifact:
    """What a stage made, as its manifest says."""

    stage: str
    key: str
    path: Path
    inputs: dict[str, Any]
    files: dict[str, dict[str, Any]]
    """Name -> {"size": bytes, "sha256": hex}."""
    digest: str
    """sha256 over the names, sizes and sha256s of the files: equal contents have equal digests."""
    created: str
    seconds: float
    """How long it took to make."""

    def file(self, name: str) -> Path:
        """The path of one of its files."""
        return self.path / name

    def sha256(self, name: str) -> str:
        """sha256 of one of its files, as recorded."""
        return self.files[name]["sha256"]

    @property
    def size(self) -> int:
        """Bytes, without the manifest."""
        return sum(record["size"] for record in self.files.values())


@dataclass(frozen=True)
class Outcome:
    """An artifact, and whether it was there or had to be made, and why."""

    artifact: Artifact
    hit: bool
    why: str
    seconds: float

    @property
    def cache(self) -> str:
        """`hit` or `miss`."""
        return "hit" if self.hit else "miss"


def _digest(files: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(files).encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _sealed(manifest: dict[str, Any]) -> dict[str, Any]:
    return {**manifest, "sealed": hashlib.sha256(canonical(manifest).encode()).hexdigest()}


def _file_records(folder: Path) -> dict[str, dict[str, Any]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": file_sha256(path)}
        for path in paths
    }


def _described(stage: str, key: str, folder: Path) -> Artifact:
    """The artifact in the folder as its manifest describes it; a damaged one where that does not."""
    try:
        manifest = read_json(folder / "manifest.json")
        seal = manifest.pop("sealed")
        intact = _sealed(manifest)["sealed"] == seal and manifest["schema"] == SCHEMA
    except (OSError, ValueError, KeyError, AttributeError):
        intact, manifest = False, {}
    if not intact:
        return Artifact(stage, key, folder, {}, {"manifest.json": {"size": -1, "sha256": ""}}, "", "", 0.0)
    fields = ("inputs", "files", "digest", "created", "seconds")
    return Artifact(stage, key, folder, **{name: manifest[name] for name in fields})


def damage(artifact: Artifact) -> str | None:
    """What is wrong with the artifact's files, in words; None where every byte is as recorded."""
    for name, record in artifact.files.items():
        path = artifact.file(name)
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != record["size"]:
            return f"{name} has {path.stat().st_size} bytes, {record['size']} were written"
        try:
            if file_sha256(path) != record["sha256"]:
                return f"{name} does not have the bytes that were written"
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                raise  # this process's trouble, not the file's
            return f"{name} cannot be read ({error.strerror})"
    return None


def _unheard(line: str) -> None:
    """Where nobody listens."""


class Store:
    """The artifacts below one folder. Safe to use from several processes at once on a local disk."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def place(self, stage: str, key: str) -> Path:
        """Where the artifact lies, or will lie."""
        return self.root / stage / key

    def partial(self, stage: str, key: str) -> Path:
        """A folder that a running stage may keep things in until its artifact is made. Not created here."""
        return self.root / "partial" / f"{stage}-{key}"

    def peek(self, stage: str, key: str) -> Artifact | None:
        """The artifact as its manifest describes it, its files unchecked; None where there is none."""
        folder = self.place(stage, key)
        return _described(stage, key, folder) if folder.is_dir() else None

    def find(self, stage: str, key: str) -> Artifact | None:
        """The artifact, every byte checked. A damaged one is set aside with its reason, and is then not found."""
        artifact = self.peek(stage, key)
        if artifact is None or damage(artifact) is None:
            return artifact
        with self.lock(stage, key):  # it may have been made again since
            return self._examined(stage, key)

    def _examined(self, stage: str, key: str) -> Artifact | None:
        """As `find`, for who holds the lock."""
        artifact = self.peek(stage, key)
        wrong = damage(artifact) if artifact else None
        if artifact is None or wrong is None:
            return artifact
        self._set_aside(artifact, wrong)
        return None

    def _set_aside(self, artifact: Artifact, reason: str) -> None:
        shelf = self.root / "damaged"
        shelf.mkdir(parents=True, exist_ok=True)
        aside = shelf / f"{artifact.stage}-{artifact.key}-{time.time_ns()}"
        artifact.path.rename(aside)
        write_json(aside.with_suffix(".reason.json"), {"noticed": _now(), "reason": reason})

    def obtain(
        self,
        stage: str,
        inputs: Inputs,
        make: Callable[[Path], None],
        waiting: Callable[[str], None] = _unheard,
        name: str = "",
    ) -> Outcome:
        """The artifact of these inputs: found, or made by `make(folder)`, which fills an empty folder.

        Of several processes that want the same artifact one makes it and the others wait for it. Where `make` raises,
        nothing is left but what it kept in `partial`.
        """
        start, key = time.monotonic(), key_of(inputs)
        with self.lock(stage, key, waiting):
            why = self.explain(stage, inputs)
            found = self._examined(stage, key)
            if found is not None:
                return Outcome(found, True, "unchanged", time.monotonic() - start)
            why = self._damage_noted(stage, key) or why
            with self.draft(stage, key) as folder:
                make(folder)
                artifact = self._commit(stage, key, inputs, folder, time.monotonic() - start, name)
            shutil.rmtree(self.partial(stage, key), ignore_errors=True)
            return Outcome(artifact, False, why, time.monotonic() - start)

    def adopt(self, stage: str, key: str, digest: str, fetch: Callable[[Path], None], name: str = "") -> Artifact:
        """The artifact of that digest, which was made elsewhere: found, or brought by `fetch(folder)`, which fills an
        empty folder with its files and its manifest. One of the same name and another digest makes way.

        A RecurraError where what was brought is not what was made.
        """
        with self.lock(stage, key):
            found = self._examined(stage, key)
            if found is not None and found.digest == digest:
                return found
            with self.draft(stage, key) as folder, self.draft(stage, key) as former:
                fetch(folder)
                brought = _described(stage, key, folder)
                wrong = damage(brought)
                if wrong or (brought.digest, key_of(brought.inputs)) != (digest, key):
                    wrong = wrong or "it is another one"
                    raise RecurraError(f"{stage}: artifact {key} did not come here as it was made ({wrong}); run again")
                fsync_tree(folder)
                if found is not None:
                    found.path.rename(former / "replaced")
                self._place(stage, key, brought.inputs, folder, brought.created, name)
                return _described(stage, key, self.place(stage, key))

    @contextmanager
    def lock(self, stage: str, key: str, waiting: Callable[[str], None] = _unheard) -> Iterator[None]:
        """Holds the artifact's name; the kernel frees it however the holder ends."""
        from filelock import FileLock, Timeout

        (self.root / "locks").mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / "locks" / f"{stage}-{key}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting(f"{stage}: waiting for another run that is making the same artifact")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def draft(self, stage: str, key: str) -> Iterator[Path]:
        """An empty folder on the store's file system, gone afterwards unless it was renamed away."""
        folder = self.root / "tmp" / f"{stage}-{key}-{os.getpid()}-{time.time_ns()}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _commit(self, stage: str, key: str, inputs: Inputs, folder: Path, seconds: float, name: str) -> Artifact:
        files, created = _file_records(folder), _now()
        manifest = {
            "schema": SCHEMA,
            "stage": stage,
            "key": key,
            "inputs": inputs,
            "files": files,
            "digest": _digest(files),
            "created": created,
            "seconds": round(seconds, 3),
        }
        write_json(folder / "manifest.json", _sealed(json.loads(json.dumps(manifest))))
        fsync_tree(folder)
        self._place(stage, key, inputs, folder, created, name)
        artifact = self.peek(stage, key)
        if artifact is None:
            raise RecurraError(f"{self.place(stage, key)} vanished while it was being made")
        return artifact

    def _place(self, stage: str, key: str, inputs: Inputs, folder: Path, created: str, name: str) -> None:
        """Renames a whole artifact into its place, and remembers what it was made from."""
        place = self.place(stage, key)
        place.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(place)
        fsync_folder(place.parent)
        self._remember(stage, key, inputs, created, name)

    def _remember(self, stage: str, key: str, inputs: Inputs, created: str, name: str) -> None:
        shelf = self.root / "inputs" / stage
        shelf.mkdir(parents=True, exist_ok=True)
        write_json(shelf / f"{key}.json", {"inputs": inputs, "created": created, "name": name})

    def _damage_noted(self, stage: str, key: str) -> str | None:
        reasons = sorted((self.root / "damaged").glob(f"{stage}-{key}-*.reason.json"))
        if not reasons or not (self.root / "inputs" / stage / f"{key}.json").is_file():
            return None
        newest = read_json(reasons[-1])
        if newest["noticed"] < read_json(self.root / "inputs" / stage / f"{key}.json")["created"]:
            return None
        return f"the artifact was damaged ({newest['reason']}); it was set aside and is made again"

    def explain(self, stage: str, inputs: Inputs) -> str:
        """Why the artifact of these inputs is or is not there: what differs from the likest one made before."""
        key = key_of(inputs)
        if self.place(stage, key).is_dir():
            return "unchanged"
        records = self._remembered(stage)
        if not records:
            return "first time"
        if (self.root / "inputs" / stage / f"{key}.json").is_file():
            return self._damage_noted(stage, key) or "the artifact is gone from the store"
        wanted = leaves(inputs)
        ranked = sorted(records, key=lambda record: record["created"], reverse=True)
        # What another kind of network was made from explains nothing.
        before = [leaves(record["inputs"]) for record in ranked]
        alike = [made for made in before if made.get(KIND) == wanted.get(KIND)]
        if not alike:
            return "first time"
        likest = min((difference(made, wanted) for made in alike), key=len)
        if len(likest) > 6:
            return f"nothing like it was made before ({len(likest)} inputs differ from the likest)"
        # What it was made from mostly differs because a setting does: then the setting says it all.
        settings = [line for line in likest if not line.startswith("from.")]
        return "; ".join(settings or likest)

    def _remembered(self, stage: str) -> list[dict[str, Any]]:
        """The inputs of every artifact of the stage; a record that cannot be read is passed over."""
        records = []
        for path in (self.root / "inputs" / stage).glob("*.json"):
            with suppress(OSError, ValueError):
                record = read_json(path)
                if isinstance(record, dict) and {"inputs", "created"} <= record.keys():
                    records.append(record)
        return records

    def artifacts(self) -> Iterator[Artifact]:
        """Every artifact, by stage and name, unchecked."""
        for manifest in sorted(self.root.glob("*/*/manifest.json")):
            stage, key = manifest.parent.parent.name, manifest.parent.name
            if stage in ("partial", "tmp", "locks", "damaged", "inputs"):
                continue
            artifact = self.peek(stage, key)
            if artifact is not None:
                yield artifact

    def remove(self, artifact: Artifact) -> None:
        """Takes an artifact away, whole, when nobody is making it."""
        with self.lock(artifact.stage, artifact.key), self.draft(artifact.stage, artifact.key) as folder:
            if artifact.path.is_dir():
                artifact.path.rename(folder / "removed")


def leaves(inputs: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted name -> value, for every value in nested mappings."""
    if not isinstance(inputs, Mapping):
        return {prefix: inputs}
    flat: dict[str, Any] = {}
    for name, value in inputs.items():
        # Settings are known to people by their name in the experiment file.
        dotted = name if not prefix or prefix == "settings" else f"{prefix}.{name}"
        flat.update(leaves(value, dotted))
    return flat


def _shown(value: Any) -> str:
    if isinstance(value, str) and len(value) >= 32 and set(value) <= set("0123456789abcdef"):
        return value[:8]
    return value if isinstance(value, str) else json.dumps(value)


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """`train.epochs 10 -> 20`, for every name whose value differs."""
    nothing = "(none)"
    return [
        f"{name} {_shown(old.get(name, nothing))} -> {_shown(new.get(name, nothing))}"
        for name in sorted({*old, *new})
        if old.get(name, nothing) != new.get(name, nothing)
    ]
