"""Scoring an inbox: each file exactly once, whatever is cut off when; and nothing of the user's is lost."""

from __future__ import annotations

import errno
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.core.scoring_place import CLASSES, Disk, Place, PowerCutError, check_whole, filled, put

from recurra.durable import read_json
from recurra.errors import InputError, RecurraError
from recurra.home import Home
from recurra.readers.names import escaped
from recurra.scoring import inbox as inboxes
from recurra.scoring.inbox import HIDDEN, listed, settled
from recurra.scoring.ledger import Ledger, uncovered
from recurra.scoring.one_pass import OnePass
from recurra.scoring.part_files import part_name, write
from recurra.scoring.schemas import LEDGER
from recurra.scoring.scores import Scores
from recurra.scoring.settings import Scoring
from recurra.scoring.tally import Tally


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


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


@pytest.mark.parametrize("pid", [None, ""])
def test_a_holder_of_which_nothing_is_known_is_told_too(place: Place, pid: str | None) -> None:
    with place.scores.held():
        (place.scores.folder / "score.pid").unlink()
        if pid is not None:
            (place.scores.folder / "score.pid").write_text(pid)
        with pytest.raises(InputError, match=r"pid unknown"), Scores(Home(place.root / "home"), "n").held():
            pass


@pytest.mark.parametrize(
    ("inbox", "classes", "fault"),
    [("inbox", ("a", "b"), "have the classes a, b, c"), ("other", CLASSES, "are of the inbox .*inbox; give")],
)
def test_scores_of_runs_are_of_one_inbox_and_one_list_of_classes(
    place: Place, inbox: str, classes: Any, fault: str
) -> None:
    place.scores.accept(place.inbox, "image", CLASSES)
    place.scores.accept(place.inbox, "image", CLASSES)
    with pytest.raises(InputError, match=fault):
        place.scores.accept(place.root / inbox, "image", classes)


def test_a_champions_classes_may_change_and_all_parts_are_read_as_one(place: Place) -> None:
    for time, classes in enumerate([CLASSES, (*CLASSES, "d"), ("c", "b", "a")]):
        place.scores.accept(place.inbox, "image", classes, follows=True)
        put(place.inbox / f"{time}.png", b"x", time)
        place.score(classes=classes)
    table = pd.read_parquet(place.scores.predictions).set_index("file").sort_index()
    assert [*table["predicted_class"]] == ["c", "d", "a"]
    assert [len(each) for each in table["probabilities"]] == [3, 4, 3]
    assert sum(place.predictions().values()) == 3
    parts = sorted(place.scores.predictions.rglob("*.parquet"))
    assert [json.loads(pq.read_schema(part).metadata[b"classes"])[0] for part in parts] == ["a", "a", "c"]
    assert read_json(place.scores.folder / "score.json")["classes"] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "Expecting property name"),
        ("[]", "its fields"),
        ('{"schema": 1, "inbox": "/in", "classes": ["a"]}', "kind"),
        ('{"schema": 2, "inbox": "/in", "kind": "image", "classes": ["a"]}', "schema"),
        ('{"schema": 1, "inbox": "/in", "kind": "image", "classes": "a"}', "classes"),
    ],
)
def test_a_slip_in_score_json_is_said_in_one_line(place: Place, text: str, fault: str) -> None:
    (place.scores.folder / "score.json").write_text(text)
    with pytest.raises(InputError, match=rf"score\.json cannot be read \(.*{fault}.*mend it, or remove it") as raised:
        place.scores.accept(place.inbox, "image", CLASSES)
    assert len(str(raised.value).splitlines()) == 1


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


def test_a_refused_file_that_is_put_back_is_told_of_and_with_a_new_time_it_is_read_again(place: Place) -> None:
    put(place.inbox / "bad.png", b"bad", 1)
    place.score()
    (place.scores.refused / "bad.png").rename(place.inbox / "bad.png")
    tally = place.score()
    assert tally.refused == 0
    assert tally.notes == ["refused before, and moved out now: bad.png (`touch` one to have it tried again)"]
    (place.scores.refused / "bad.png").rename(place.inbox / "bad.png")
    (place.inbox / "bad.png").touch()
    assert place.score().refused == 1


def test_an_earlier_refused_file_of_the_same_name_is_kept(place: Place) -> None:
    for time in (1, 2):
        put(place.inbox / "bad.png", b"bad%d" % time, time)
        place.score()
    assert (place.scores.refused / "bad.png").read_bytes() == b"bad1"
    assert (place.scores.refused / "bad~2.png").read_bytes() == b"bad2"
    assert read_json(place.scores.refused / "bad~2.png.reason.json")["mtime_ns"] == 2


def other_disk(
    monkeypatch: pytest.MonkeyPatch, place: Place, hiding: Callable[[Path], Any] = lambda path: None
) -> None:
    """The inbox is on another file system than the scores; `hiding` is called before a file in it is hidden."""
    real = os.rename

    def rename(source: Any, target: Any) -> None:
        if place.inbox in Path(source).parents and place.inbox not in Path(target).parents:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        if Path(target).parent.name == HIDDEN:
            hiding(Path(source))
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)


def test_to_another_file_system_refused_files_are_copied(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    other_disk(monkeypatch, place)
    put(place.inbox / "bad.png", b"bad", 1)
    place.score()
    assert not list(place.inbox.iterdir())
    assert (place.scores.refused / "bad.png").read_bytes() == b"bad"


@pytest.mark.parametrize("loses", [False, True], ids=["killed", "power-cut"])
def test_a_copy_to_another_file_system_can_be_cut_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loses: bool
) -> None:
    for cuts in count():
        place = filled(tmp_path / str(cuts))
        with monkeypatch.context() as patch:
            other_disk(patch, place)
            over = not place.cut(cuts, random.Random(cuts) if loses else None)
            place.score()
            check_whole(place)
            assert not list(place.inbox.rglob(HIDDEN))
        if over:
            return


@pytest.mark.parametrize("copied_before", [False, True])
def test_a_file_that_comes_just_before_the_original_of_a_copy_is_removed_is_kept_and_scored(
    place: Place, monkeypatch: pytest.MonkeyPatch, copied_before: bool
) -> None:
    put(place.inbox / "bad.png", b"bad", 1)

    def killed(path: Path) -> None:
        raise PowerCutError

    if copied_before:
        with monkeypatch.context() as patch, suppress(PowerCutError):
            other_disk(patch, place, killed)
            place.score()
    with monkeypatch.context() as patch:
        other_disk(patch, place, lambda path: put(path, b"good", 2))
        place.score()
    assert (place.scores.refused / "bad.png").read_bytes() == b"bad"
    assert (place.inbox / "bad.png").read_bytes() == b"good"
    assert place.score().scored == 1


def test_a_file_that_comes_just_before_a_refused_one_is_renamed_is_kept_and_scored(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.rename

    def rename(source: Any, target: Any) -> None:
        if Path(source) == place.inbox / "bad.png":
            put(Path(source), b"good", 2)
        real(source, target)

    put(place.inbox / "bad.png", b"bad", 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        place.score()
    assert place.score().scored == 1
    assert not list(place.scores.refused.iterdir())


def test_what_a_crash_left_hidden_gets_its_name_back(place: Place) -> None:
    put(place.inbox / f"deep/{HIDDEN}/a.png", b"new", 1)
    put(place.inbox / f"{HIDDEN}/b.png", b"older", 1)
    put(place.inbox / "b.png", b"of this name by now", 1)
    assert place.score().scored == 2
    assert set(place.predictions()) == {("deep/a.png", 3, 1), ("b.png", 19, 1)}
    assert (place.inbox / f"{HIDDEN}/b.png").read_bytes() == b"older"


@pytest.mark.parametrize("name", ["x" * 251 + ".txt", "é" * 125 + ".png", "x" * 199 + "." + "y" * 50])
def test_a_file_with_a_long_name_is_set_aside_too_and_keeps_no_other_from_being_scored(place: Place, name: str) -> None:
    put(place.inbox / name, b"bad", 1)
    put(place.inbox / "good.png", b"good", 1)
    tally = place.score()
    assert (tally.scored, tally.refused, "stays" in tally.reasons[0]) == (1, 1, False)
    [moved] = [path for path in place.scores.refused.iterdir() if path.suffix != ".json"]
    assert moved.read_bytes() == b"bad"
    assert read_json(moved.with_name(f"{moved.name}.reason.json"))["file"] == name


@pytest.mark.parametrize("fault", [errno.EIO, errno.ENOSPC, errno.EINVAL, errno.EILSEQ, errno.ELOOP, errno.EBUSY])
def test_whatever_keeps_a_refused_file_from_being_moved_the_others_are_scored(
    place: Place, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    real = os.rename

    def rename(source: Any, target: Any) -> None:
        if Path(source).name.startswith("bad"):
            raise OSError(fault, os.strerror(fault))
        real(source, target)

    put(place.inbox / "bad.png", b"bad", 1)
    put(place.inbox / "good.png", b"good", 2)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        tally = place.score(size=1)
        assert place.score().refused == 0
    assert (tally.scored, tally.reasons[0]["stays"]) == (1, f"it cannot be moved ({os.strerror(fault)})")
    place.score()
    assert not (place.inbox / "bad.png").exists()


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
    with place.scores.held():
        one.refuse(files)
    assert one.tally.reasons[0]["stays"] == "its folder holds more than its frames"
    (place.inbox / "clip/more.gif").unlink()
    with place.scores.held():
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
    found = pa.concat_tables(pq.read_table(span.path, partitioning=None) for span in ledger.spans())
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


def test_a_damaged_part_is_named_where_parts_are_merged(tmp_path: Path) -> None:
    ledger = grown(tmp_path, [3] * 6, 99)
    ledger.spans()[2].path.write_bytes(b"PAR1 and no more")
    with pytest.raises(RecurraError, match=r"00000002\.parquet: damaged .* restore it"):
        ledger.merge(tmp_path, 4)


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
