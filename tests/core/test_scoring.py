"""Scoring an inbox: each file exactly once, whatever is cut off when; and nothing of the user's is lost."""

from __future__ import annotations

import errno
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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from recurra.durable import read_json
from recurra.errors import InputError, RecurraError
from recurra.home import Home
from recurra.readers.names import escaped
from recurra.readers.reader import Refused
from recurra.scoring import inbox as inboxes
from recurra.scoring.batch import Batch, Origin
from recurra.scoring.inbox import listed, settled
from recurra.scoring.ledger import Ledger, uncovered
from recurra.scoring.one_pass import OnePass
from recurra.scoring.part_files import part_name, write
from recurra.scoring.schemas import LEDGER
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


def answer(batch: Batch) -> None:
    """What a network would: a file that begins with `bad` cannot be read."""
    rows = []
    for row, entry in enumerate(batch.entries):
        path = Path(batch.inbox, str(entry))
        if not path.exists() or path.read_bytes().startswith(b"bad"):
            batch.answered(np.empty(0, np.int64), None, [Refused(row, str(entry), "is damaged")])
        else:
            rows.append(row)
    batch.answered(np.array(rows, np.int64), np.tile(np.float32([0, 1, 2]), (len(rows), 1)), [])


class Place:
    """An inbox and its scores in a home of their own."""

    def __init__(self, root: Path) -> None:
        self.root, self.inbox = root, root / "inbox"
        self.scores = Scores(Home(root / "home"), "n")
        self.inbox.mkdir(parents=True)
        self.scores.folder.mkdir(parents=True)

    def score(self, size: int = 2, meanwhile: Callable[[], Any] = lambda: None, **fields: Any) -> Tally:
        """A pass; `meanwhile` is called while each batch is read."""
        rules = Scoring(**{"settle": 0, "batch": size, **fields})
        tally = Tally("n", ORIGIN.run, ORIGIN.backend, str(self.scores.folder))
        one = OnePass(self.scores, self.inbox, "image", rules, tally)
        todo = one.begin()
        folder, number = self.scores.scratch(), self.scores.next()
        for start in range(0, len(todo), size):
            batch = Batch(todo.slice(start, size).combine_chunks(), str(self.inbox))
            answer(batch)
            meanwhile()
            batch.write(folder, number, ORIGIN)
            one.commit(folder / part_name(number), todo)
            number += 1
        one.end()
        return tally

    def cut(self, at: int, loss: random.Random | None, **fields: Any) -> bool:
        """A pass in which power fails before an operation; whether it got that far."""
        disk = Disk(self.root, at)
        with disk.failing(), suppress(PowerCutError):
            self.score(**fields)
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


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def filled(root: Path) -> Place:
    """An inbox with some good and some bad files, one of them scored before."""
    place = Place(root)
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


def test_a_pass_scores_what_is_new_and_sets_aside_what_cannot_be_read(tmp_path: Path) -> None:
    place = filled(tmp_path)
    tally = place.score()
    assert (tally.scored, tally.refused, tally.waiting) == (3, 2, 0)
    assert tally.reasons == [
        {"file": "notes.txt", "reason": "not an image, by its name"},
        {"file": "deep/bad.png", "reason": "is damaged"},
    ]
    check_whole(place)
    again = place.score()
    assert (again.scored, again.refused) == (0, 0)
    check_whole(place)


@pytest.mark.parametrize("loses", [False, True], ids=["killed", "power-cut"])
def test_cut_at_any_file_operation_a_pass_is_made_good_by_the_next(tmp_path: Path, loses: bool) -> None:
    cuts = 0
    while True:
        place = filled(tmp_path / str(cuts))
        if not place.cut(cuts, random.Random(cuts) if loses else None):
            break
        assert max(place.predictions().values()) == 1
        place.score()
        check_whole(place)
        cuts += 1
    assert cuts > 40


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(0, 4), st.sampled_from([b"good", b"bad", b"longer"])),
            st.tuples(st.just("remove"), st.integers(0, 4)),
            st.tuples(st.just("cut"), st.integers(0, 90), st.booleans()),
            st.tuples(st.just("change"), st.integers(0, 4)),
            st.tuples(st.just("score"), st.integers(1, 3)),
        ),
        max_size=9,
    )
)
def test_however_passes_crashes_and_changes_follow_one_another_each_file_is_scored_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    place = Place(tmp_path_factory.mktemp("inbox"))
    for time, (what, *more) in enumerate(steps, 1):
        path = place.inbox / f"{more[0]}.png"
        if what == "put":
            put(path, more[1], time)
        elif what == "remove":
            path.unlink(missing_ok=True)
        elif what == "cut":
            place.cut(more[0], random.Random(time) if more[1] else None)
        elif what == "change":
            place.score(meanwhile=lambda path=path, time=time: put(path, b"changed", time))
        else:
            place.score(more[0])
        assert max(place.predictions().values(), default=0) <= 1
    left = {(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in place.inbox.iterdir()}
    place.score()
    scored = place.predictions()
    assert set(scored.values()) <= {1}
    assert {key for key in left if key[1] != 3} <= scored.keys()
    if scored:
        ledger = place.ledger()
        assert set(ledger.values()) == {1}
        assert {key[:3] for key in ledger if key[3] == "scored"} == scored.keys()
    assert all(path.read_bytes() != b"bad" for path in place.inbox.iterdir())


def test_a_file_that_changes_while_it_is_read_waits_for_the_next_pass(place: Place) -> None:
    put(place.inbox / "a.png", b"old", 1)
    put(place.inbox / "bad.png", b"bad", 1)
    put(place.inbox / "gone.png", b"gone", 1)

    def meanwhile() -> None:
        put(place.inbox / "a.png", b"new", 2)
        put(place.inbox / "bad.png", b"new", 2)
        (place.inbox / "gone.png").unlink(missing_ok=True)

    tally = place.score(size=9, meanwhile=meanwhile)
    assert (tally.scored, tally.refused) == (0, 0)
    assert place.score().scored == 2
    assert place.predictions() == Counter([("a.png", 3, 2), ("bad.png", 3, 2)])


def test_a_file_that_is_put_there_anew_is_scored_again(place: Place) -> None:
    put(place.inbox / "a.png", b"one", 1)
    place.score()
    put(place.inbox / "a.png", b"other", 2)
    assert place.score().scored == 1
    assert set(place.predictions()) == {("a.png", 3, 1), ("a.png", 5, 2)}


def test_what_was_just_written_or_is_on_its_way_waits(place: Place) -> None:
    put(place.inbox / "fresh.png", b"x", 1)  # its time of modification is old, as after cp -p
    put(place.inbox / "film.png.part", b"x", 1)
    put(place.inbox / ".hidden.png", b"x", 1)
    tally = place.score(settle=60)
    assert (tally.scored, tally.refused, tally.waiting) == (0, 0, 2)
    assert place.score().scored == 1
    assert (place.inbox / "film.png.part").exists()


def test_a_time_from_a_clock_that_was_wrong_makes_no_file_wait_for_ever(place: Place) -> None:
    put(place.inbox / "a.png", b"x", 1)
    listing = listed(place.inbox, "image").listing
    changed = listing["ctime_ns"][0].as_py()
    ages = {-3600: True, -3: False, 0: False, 3: False, 6: True}
    assert {age: bool(settled(listing, 5, changed + age * 10**9)[0]) for age in ages} == ages


def test_predictions_have_all_that_predict_writes_and_by_whom(place: Place) -> None:
    put(place.inbox / "a.png", b"x", 1)
    place.score()
    [file] = place.scores.predictions.glob("day=????-??-??/*.parquet")
    row = pd.read_parquet(file).iloc[0]
    assert (row["file"], row["predicted"], row["predicted_class"]) == ("a.png", 2, "c")
    np.testing.assert_allclose(row["probabilities"], np.exp([0, 1, 2]) / np.exp([0, 1, 2]).sum(), rtol=1e-6)
    assert (row["run"], row["backend"]) == ("run-1", "plain")
    assert file.parent.name == f"day={row['when']:%Y-%m-%d}"


def test_a_second_process_is_refused(place: Place) -> None:
    other = Scores(Home(place.root / "home"), "n")
    fault = rf"written by another process \(pid {os.getpid()}\)"
    with place.scores.held(), pytest.raises(InputError, match=fault), other.held():
        pass
    with place.scores.held():
        pass


@pytest.mark.parametrize(
    ("inbox", "classes", "fault"),
    [("inbox", ("a", "b"), "have the classes a, b, c"), ("other", CLASSES, "are of the inbox .*inbox; give")],
)
def test_scores_are_of_one_inbox_and_one_list_of_classes(place: Place, inbox: str, classes: Any, fault: str) -> None:
    place.scores.accept(place.inbox, "image", CLASSES)
    place.scores.accept(place.inbox, "image", CLASSES)
    with pytest.raises(InputError, match=fault):
        place.scores.accept(place.root / inbox, "image", classes)


@pytest.mark.parametrize("inbox", [".", "home", "home/scores/n/refused", "home/scores"])
def test_an_inbox_apart_from_the_scores_is_asked_for(place: Place, inbox: str) -> None:
    with pytest.raises(InputError, match="where scores are kept"):
        place.scores.accept((place.root / inbox).resolve(), "image", CLASSES)
    assert not (place.scores.folder / "score.json").exists()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 81])
def test_a_name_that_is_no_folders_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="expected letters, digits"):
        Scores(Home(tmp_path), name)


def test_an_empty_inbox_is_no_error_and_a_missing_one_is(place: Place) -> None:
    assert place.score().line().startswith("n  0 scored, 0 refused, 0 waiting")
    place.inbox.rmdir()
    with pytest.raises(InputError, match=r"inbox: cannot be read as an inbox \(No such file"):
        place.score()


def test_names_that_are_no_text_come_through_and_back(place: Place) -> None:
    name = os.fsdecode(b"caf\xe9\\ \n.png")
    put(place.inbox / name, b"good", 1)
    put(place.inbox / f"bad{name}", b"bad", 1)
    assert place.score().refused == 1
    assert set(place.predictions()) == {(escaped(name), 4, 1)}
    assert (place.scores.refused / f"bad{name}").read_bytes() == b"bad"


def test_links_are_followed_and_nothing_is_moved_from_where_they_lead(place: Place) -> None:
    elsewhere = place.root / "elsewhere"
    put(elsewhere / "good.png", b"good", 1)
    put(elsewhere / "bad.png", b"bad", 1)
    (place.inbox / "folder").symlink_to("../elsewhere")
    (place.inbox / "one.png").symlink_to("../elsewhere/bad.png")
    (place.inbox / "loop").symlink_to(".")
    (place.inbox / "nowhere.png").symlink_to("missing")
    tally = place.score()
    assert (tally.scored, tally.refused) == (1, 3)
    assert {each["file"]: each.get("stays", "") for each in tally.reasons} == {
        "folder/bad.png": "a link to its folder leads out of the inbox",
        "one.png": "",
        "nowhere.png": "",
    }
    assert (elsewhere / "bad.png").read_bytes() == b"bad"
    assert (place.scores.refused / "one.png").read_bytes() == b"bad"  # the link, still leading there
    assert sorted(path.name for path in place.inbox.iterdir()) == ["folder", "loop"]
    assert place.score().refused == 0


def test_refused_files_stay_where_they_are_if_asked_and_are_moved_once_no_longer(place: Place) -> None:
    put(place.inbox / "bad.png", b"bad", 1)
    assert place.score(keep_refused=True).refused == 1
    assert place.score(keep_refused=True).refused == 0
    assert (place.inbox / "bad.png").exists()
    assert place.score().refused == 0
    assert (place.scores.refused / "bad.png").exists()


def test_an_earlier_refused_file_of_the_same_name_is_kept(place: Place) -> None:
    for time in (1, 2):
        put(place.inbox / "bad.png", b"bad%d" % time, time)
        place.score()
    assert (place.scores.refused / "bad.png").read_bytes() == b"bad1"
    assert (place.scores.refused / "bad~2.png").read_bytes() == b"bad2"
    assert read_json(place.scores.refused / "bad~2.png.reason.json")["mtime_ns"] == 2


def other_disk(monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    real = os.rename

    def rename(source: Any, target: Any) -> None:
        if place.inbox in Path(source).parents:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)


def test_to_another_file_system_refused_files_are_copied(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    other_disk(monkeypatch, place)
    put(place.inbox / "bad.png", b"bad", 1)
    place.score()
    assert not list(place.inbox.iterdir())
    assert (place.scores.refused / "bad.png").read_bytes() == b"bad"


def test_a_copy_to_another_file_system_can_be_cut_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cuts = 0
    while True:
        place = filled(tmp_path / str(cuts))
        with monkeypatch.context() as patch:
            other_disk(patch, place)
            over = not place.cut(cuts, None)
            if not over:
                place.score()
                check_whole(place)
        if over:
            return
        cuts += 3


def test_an_inbox_that_cannot_be_written_to_keeps_its_refused_files(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.rename

    def rename(source: Any, target: Any) -> None:
        if place.inbox in Path(source).parents:
            raise PermissionError(errno.EACCES, "Permission denied")
        real(source, target)

    put(place.inbox / "bad.png", b"bad", 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        tally = place.score()
    assert tally.reasons[0]["stays"] == "it cannot be moved (Permission denied)"
    assert place.score().refused == 0
    assert (place.scores.refused / "bad.png").exists()


def test_a_folder_of_frames_is_one_sample_and_moves_whole(place: Place) -> None:
    for frame in range(3):
        path = place.inbox / f"clip/f{frame}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (4, 4)).save(path)
    listing = listed(place.inbox, "clip").listing
    assert listing["file"].to_pylist() == ["clip"]
    assert listing["frames"].to_pylist() == [["f0.png", "f1.png", "f2.png"]]
    assert listing["size"][0].as_py() == sum(path.stat().st_size for path in (place.inbox / "clip").iterdir())
    place.score()  # makes the folders
    one = OnePass(place.scores, place.inbox, "clip", Scoring(settle=0), Tally("n", "r", "b", ""))
    reason = pa.array(["is damaged"], pa.string())
    put(place.inbox / "clip/more.gif", b"GIF", 1)
    files = listing.set_column(listing.column_names.index("reason"), "reason", reason)
    one.refuse(files)
    assert one.tally.reasons[0]["stays"] == "its folder holds more than its frames"
    (place.inbox / "clip/more.gif").unlink()
    one.begin()
    assert sorted(path.name for path in (place.scores.refused / "clip").iterdir()) == ["f0.png", "f1.png", "f2.png"]
    assert read_json(place.scores.refused / "clip.reason.json")["reason"] == "is damaged"


def rows(count: int, first: int = 0) -> pa.Table:
    columns = {
        "file": [f"{number}.png" for number in range(first, first + count)],
        "size": [1] * count,
        "mtime_ns": list(range(first, first + count)),
        "outcome": ["scored"] * count,
        "reason": [None] * count,
        "part": [part_name(first)] * count,
        "run": ["r"] * count,
        "when": [0] * count,
    }
    return pa.table(columns).cast(LEDGER)


def grown(folder: Path, sizes: list[int], many: int) -> Ledger:
    ledger = Ledger(folder / "ledger")
    ledger.folder.mkdir()
    for number, size in enumerate(sizes):
        write(rows(size, sum(sizes[:number])), folder / "x.parquet")
        ledger.add(folder / "x.parquet", number)
        ledger.merge(folder, many)
    return ledger


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=40), many=st.integers(2, 8))
def test_a_ledger_of_many_parts_stays_few_files_and_keeps_every_row_in_order(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], many: int
) -> None:
    ledger = grown(tmp_path_factory.mktemp("ledger"), sizes, many)
    assert len(list(ledger.folder.iterdir())) <= many
    assert ledger.last() == len(sizes) - 1
    found = pa.concat_tables(pa.parquet.read_table(span.path, partitioning=None) for span in ledger.spans())
    assert found["mtime_ns"].to_pylist() == list(range(sum(sizes)))
    assert uncovered(dict.fromkeys(range(len(sizes) + 2), Path()), ledger.spans()) == [len(sizes), len(sizes) + 1]


def test_merging_can_be_cut_anywhere(tmp_path: Path) -> None:
    for cut in range(30):
        folder = tmp_path / str(cut)
        folder.mkdir()
        ledger, disk = grown(folder, [3] * 6, 99), Disk(folder, cut)
        with disk.failing(), suppress(PowerCutError):
            ledger.merge(folder, 4)
        if disk.dead:
            disk.lose(random.Random(cut))
        ledger.tidy()
        found = pd.concat([pd.read_parquet(span.path) for span in ledger.spans()])
        assert sorted(found["mtime_ns"]) == list(range(18))
        if not disk.dead:
            return
    raise AssertionError("it did not end")


@settings(max_examples=25, deadline=None)
@given(known=st.sets(st.integers(0, 60)), there=st.sets(st.integers(0, 60)), changed=st.sets(st.integers(0, 60)))
def test_what_the_ledger_has_is_left_out_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, known: set[int], there: set[int], changed: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    ledger = Ledger(folder)
    for part, number in enumerate(sorted(known)):
        write(rows(1, number), folder / f"{part_name(part)}.parquet")
    names = [f"{number}.png" for number in sorted(there)]
    times = [number + 1000 * (number in changed) for number in sorted(there)]
    listing = pa.table(
        {
            "file": pa.array(names, pa.string()),
            "size": pa.array([1] * len(names), pa.int64()),
            "mtime_ns": pa.array(times, pa.int64()),
        }
    )
    done = ledger.marked(listing).done
    assert done.tolist() == [number in known - changed for number in sorted(there)]


def test_a_damaged_part_is_named(place: Place) -> None:
    put(place.inbox / "a.png", b"x", 1)
    place.score()
    [file] = place.scores.ledger.folder.iterdir()
    data = bytearray(file.read_bytes())
    data[40] ^= 1
    file.write_bytes(data)
    with pytest.raises(RecurraError, match=r"00000000\.parquet: damaged .* restore it"):
        place.score()


def test_the_listing_is_made_in_blocks(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inboxes, "_BLOCK", 2)
    for number in range(7):
        put(place.inbox / f"{number % 3}/{number}.png", b"x", 1)
    assert sorted(listed(place.inbox, "image").listing["file"].to_pylist()) == [
        "0/0.png",
        "0/3.png",
        "0/6.png",
        "1/1.png",
        "1/4.png",
        "2/2.png",
        "2/5.png",
    ]
