"""The artifact store: there whole or not at all, damage noticed, and every miss explained."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.store import Store, difference, key_of, leaves


def inputs(epochs: int = 10, dataset: str = "a" * 64) -> dict:
    return {"settings": {"train": {"epochs": epochs}}, "from": {"dataset": dataset}, "versions": {"contract": 1}}


def make(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(bytes(range(256)) * 40)
    (folder / "notes").mkdir()
    (folder / "notes" / "a.txt").write_text("made")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_an_artifact_is_made_once_and_then_found(store: Store) -> None:
    first = store.obtain("train", inputs(), make)
    second = store.obtain("train", inputs(), lambda folder: pytest.fail("made twice"))
    assert (first.cache, first.why) == ("miss", "first time")
    assert (second.cache, second.why) == ("hit", "unchanged")
    assert second.artifact.digest == first.artifact.digest
    assert second.artifact.file("notes/a.txt").read_text() == "made"


def test_a_miss_names_the_setting_that_changed(store: Store) -> None:
    store.obtain("train", inputs(epochs=10), make)
    assert store.obtain("train", inputs(epochs=20), make).why == "train.epochs 10 -> 20"


def test_a_miss_is_explained_by_the_likest_artifact(store: Store) -> None:
    store.obtain("train", inputs(10, "a" * 64), make)
    store.obtain("train", inputs(30, "b" * 64), make)
    assert store.explain("train", inputs(20, "b" * 64)) == "train.epochs 30 -> 20"
    assert store.explain("train", inputs(30, "c" * 64)) == "from.dataset bbbbbbbb -> cccccccc"


@pytest.mark.parametrize("name", ["weights.bin", "notes/a.txt", "manifest.json"])
def test_one_flipped_byte_is_noticed_and_the_artifact_made_again(store: Store, name: str) -> None:
    path = store.obtain("train", inputs(), make).artifact.file(name)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    again = store.obtain("train", inputs(), make)
    assert again.cache == "miss"
    assert "damaged" in again.why
    assert name in again.why
    assert store.obtain("train", inputs(), make).hit


def test_a_deleted_file_and_a_deleted_artifact_are_made_again(store: Store) -> None:
    artifact = store.obtain("train", inputs(), make).artifact
    artifact.file("weights.bin").unlink()
    assert "weights.bin is missing" in store.obtain("train", inputs(), make).why
    store.remove(artifact)
    again = store.obtain("train", inputs(), make)
    assert (again.cache, again.why) == ("miss", "the artifact is gone from the store")


def test_a_failed_make_leaves_nothing_but_its_partial_folder(store: Store) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        partial = store.partial("train", key_of(inputs()))
        partial.mkdir(parents=True)
        (partial / "checkpoint").write_text("kept")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        store.obtain("train", inputs(), fail)
    assert list(store.artifacts()) == []
    assert not any((store.root / "tmp").iterdir())
    assert (store.partial("train", key_of(inputs())) / "checkpoint").read_text() == "kept"
    store.obtain("train", inputs(), make)
    assert not store.partial("train", key_of(inputs())).exists()


def _obtain_slowly(root: Path, made: Path) -> None:
    def slow(folder: Path) -> None:
        with made.open("a") as file:
            file.write("made\n")
        time.sleep(0.5)
        make(folder)

    Store(root).obtain("train", inputs(), slow)


def test_of_several_processes_one_makes_and_the_others_wait(store: Store, tmp_path: Path) -> None:
    context, made = multiprocessing.get_context("spawn"), tmp_path / "made.txt"
    workers = [context.Process(target=_obtain_slowly, args=(store.root, made)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert made.read_text() == "made\n"


def test_a_killed_maker_leaves_no_lock_and_no_artifact(store: Store, tmp_path: Path) -> None:
    made = tmp_path / "made.txt"
    maker = multiprocessing.get_context("spawn").Process(target=_obtain_slowly, args=(store.root, made))
    maker.start()
    while not made.exists():
        time.sleep(0.01)
    os.kill(maker.pid or 0, signal.SIGKILL)
    maker.join(10)
    assert list(store.artifacts()) == []
    assert store.obtain("train", inputs(), make).cache == "miss"


def test_equal_contents_have_equal_digests_whenever_they_were_made(store: Store) -> None:
    first = store.obtain("train", inputs(1), make).artifact
    second = store.obtain("train", inputs(2), make).artifact
    assert first.digest == second.digest
    assert first.key != second.key


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(values, values)
def test_inputs_have_the_same_key_exactly_when_nothing_differs(one: object, other: object) -> None:
    same_key = key_of({"settings": one}) == key_of({"settings": other})
    assert same_key == (repr_of(one) == repr_of(other))


def repr_of(value: object) -> str:
    """Equality that tells 1 from True, as JSON does."""
    if isinstance(value, dict):
        return repr(sorted((name, repr_of(inner)) for name, inner in value.items()))
    return repr(value)


def test_leaves_and_differences_use_the_names_of_the_experiment_file() -> None:
    flat = leaves({"settings": {"train": {"epochs": 1}}, "versions": {"torch": "2.13"}})
    assert flat == {"train.epochs": 1, "versions.torch": "2.13"}
    assert difference({"a": 1}, {"a": 2, "b": None}) == ["a 1 -> 2", "b (none) -> null"]


def test_a_setting_explains_what_follows_from_it(store: Store) -> None:
    store.obtain("train", inputs(10, "a" * 64), make)
    assert store.explain("train", inputs(20, "b" * 64)) == "train.epochs 10 -> 20"
