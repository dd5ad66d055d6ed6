"""An inbox and its scores for tests, and a disk whose power fails before any of its operations."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from recurra.durable import read_json
from recurra.home import Home
from recurra.readers.reader import Refused
from recurra.scoring.batch import Batch, Origin
from recurra.scoring.one_pass import OnePass
from recurra.scoring.part_files import part_name
from recurra.scoring.scores import Scores
from recurra.scoring.settings import Scoring
from recurra.scoring.tally import Tally

CLASSES = ("a", "b", "c")
ORIGIN = Origin("run-1", "plain", CLASSES)
KEY = ["file", "size", "mtime_ns"]


class PowerCutError(BaseException):
    """No Exception: nothing in the code may go on after it."""


class Disk:
    """The file operations below a folder. Power fails before the one of number `cut`; then nothing works any more.

    `lose` undoes what no fsync had made sure by then, each operation by chance, and tears files in halves.
    """

    CALLS = ("rename", "replace", "mkdir", "unlink", "rmdir", "symlink", "link", "fsync")

    def __init__(self, root: Path, cut: int | None) -> None:
        self.root, self.cut, self.count, self.dead = root.resolve(), cut, 0, False
        self.real = {name: getattr(os, name) for name in self.CALLS}
        self.pending: list[tuple[Path, Callable[[], None]]] = []
        self.sure: set[int] = set()

    @contextmanager
    def failing(self) -> Iterator[Disk]:
        with pytest.MonkeyPatch.context() as patch:
            for name in self.CALLS:
                patch.setattr(os, name, self._call(name))
            yield self

    def _call(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.dead = self.dead or self.count == self.cut
            if self.dead:
                raise PowerCutError
            self.count += 1
            if options.get("dir_fd") is not None:  # of rmtree, below tmp/
                return self.real[name](*arguments, **options)
            return getattr(self, f"_{name}", self._plain(name))(*arguments)

        return call

    def _plain(self, name: str) -> Callable[..., Any]:
        return lambda *arguments: self.real[name](*arguments)

    def _fsync(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        self.real["fsync"](descriptor)
        if path.is_dir():
            self.pending = [(folder, undo) for folder, undo in self.pending if folder != path]
        else:
            self.sure.add(path.stat().st_ino)

    def _rename(self, source: Any, place: Any) -> None:
        source, place = Path(source).absolute(), Path(place).absolute()
        there = place.exists() and not place.is_dir()
        torn = source.is_file() and source.stat().st_ino not in self.sure and self.root / "inbox" not in source.parents
        self.real["rename"](source, place)

        def undo() -> None:
            if torn and place.exists():
                place.write_bytes(place.read_bytes()[:4])
                return
            if not there and place.exists():
                source.parent.mkdir(parents=True, exist_ok=True)
                place.rename(source)

        self.pending.append((place.parent, undo))

    _replace = _rename

    def _mkdir(self, path: Any, mode: int = 0o777) -> None:
        self.real["mkdir"](path, mode)
        path = Path(path).absolute()
        self.pending.append((path.parent, lambda: shutil.rmtree(path, ignore_errors=True)))

    def _unlink(self, path: Any) -> None:
        path = Path(path).absolute()
        data, times = (path.read_bytes(), path.stat()) if path.is_file() else (None, None)
        self.real["unlink"](path)

        def undo() -> None:
            if data is not None and times is not None and path.parent.is_dir():
                path.write_bytes(data)
                os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

        self.pending.append((path.parent, undo))

    def lose(self, chance: random.Random) -> None:
        for _, undo in reversed(self.pending):
            if chance.random() < 0.7:
                undo()
        self.pending.clear()


def put(path: Path, content: bytes, mtime: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(mtime, mtime))
    return path


def answer(batch: Batch, classes: int = len(CLASSES)) -> None:
    """What a network would, the last class each time: a file that begins with `bad` cannot be read."""
    rows = []
    for row, entry in enumerate(batch.entries):
        path = Path(batch.inbox, str(entry))
        if not path.exists() or path.read_bytes().startswith(b"bad"):
            batch.answered(np.empty(0, np.int64), None, [Refused(row, str(entry), "is damaged")])
        else:
            rows.append(row)
    batch.answered(np.array(rows, np.int64), np.tile(np.arange(classes, dtype=np.float32), (len(rows), 1)), [])


class Place:
    """An inbox and its scores in a home of their own."""

    def __init__(self, root: Path) -> None:
        self.root, self.inbox = root, root / "inbox"
        self.scores = Scores(Home(root / "home"), "n")
        self.inbox.mkdir(parents=True)
        self.scores.folder.mkdir(parents=True)

    def score(self, size: int = 2, **fields: Any) -> Tally:
        """A pass; `meanwhile` is called while each batch is read. Other fields are those of Scoring."""
        with self.scores.held():
            return self._passed(size, **fields)

    def _passed(
        self,
        size: int = 2,
        meanwhile: Callable[[], Any] = lambda: None,
        classes: tuple[str, ...] = CLASSES,
        **fields: Any,
    ) -> Tally:
        rules = Scoring(**{"settle": 0, "batch": size, **fields})
        tally = Tally("n", ORIGIN.run, ORIGIN.backend, str(self.scores.folder))
        one = OnePass(self.scores, self.inbox, "image", rules, tally)
        self.work(one, one.begin(), meanwhile, classes)
        one.end()
        return tally

    def work(self, one: OnePass, todo: pa.Table, meanwhile: Callable[[], Any], classes: tuple[str, ...]) -> None:
        """All that is new is read, answered and committed."""
        folder, number, size = self.scores.scratch(), self.scores.next(), one.settings.batch
        for start in range(0, len(todo), size):
            batch = Batch(todo.slice(start, size).combine_chunks(), str(self.inbox))
            answer(batch, len(classes))
            meanwhile()
            batch.write(folder, number, Origin(ORIGIN.run, ORIGIN.backend, classes))
            one.commit(folder / part_name(number), todo)
            number += 1

    def cut(self, at: int, loss: random.Random | None, **fields: Any) -> bool:
        """A pass in which power fails before an operation; whether it got that far."""
        disk = Disk(self.root, at)
        with self.scores.held(), disk.failing(), suppress(PowerCutError):
            self._passed(**fields)
        if disk.dead and loss is not None:
            disk.lose(loss)
        return disk.dead

    def predictions(self) -> Counter[tuple[Any, ...]]:
        """How often each file was scored, as anybody would read it at this moment."""
        if not list(self.scores.predictions.glob("*/*.parquet")):
            return Counter()
        table = ds.dataset(self.scores.predictions, partitioning="hive").to_table(KEY)
        return Counter(zip(*(table[name].to_pylist() for name in KEY), strict=True))

    def ledger(self) -> Counter[tuple[Any, ...]]:
        table = pd.read_parquet(self.scores.ledger.folder)
        return Counter(zip(*(table[name] for name in [*KEY, "outcome"]), strict=True))


def filled(root: Path, kind: type[Place] = Place) -> Place:
    """An inbox with some good and some bad files, one of them scored before."""
    place = kind(root)
    put(place.inbox / "old.png", b"old", 1)
    place.score()
    for number in range(3):
        put(place.inbox / f"deep/{number}.png", b"good" * number, 10 + number)
    put(place.inbox / "deep/bad.png", b"bad", 20)
    put(place.inbox / "notes.txt", b"a note", 21)
    return place


def check_whole(place: Place) -> None:
    """After a pass that went well: each of the files of `filled` once, everywhere."""
    good = {("old.png", 3, 1), *((f"deep/{n}.png", 4 * n, 10 + n) for n in range(3))}
    bad = {("deep/bad.png", 3, 20), ("notes.txt", 6, 21)}
    assert place.predictions() == Counter(good)
    assert place.ledger() == Counter([*((*key, "scored") for key in good), *((*key, "refused") for key in bad)])
    for name, content in (("deep/bad.png", b"bad"), ("notes.txt", b"a note")):
        assert not (place.inbox / name).exists()
        assert (place.scores.refused / name).read_bytes() == content
        assert read_json(place.scores.refused / f"{name}.reason.json")["file"] == name
    assert len([path for path in place.scores.refused.rglob("*") if path.is_file()]) == 4
