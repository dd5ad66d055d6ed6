"""What is laid in an exchange is fetched as it was laid, or is laid there again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fsspec.implementations.local
import pytest

from recurra.errors import InputError, RecurraError
from recurra.store import Artifact, Store
from recurra_flows.workers import WorkerHinderedError

pytestmark = pytest.mark.skipif(find_spec("fsspec") is None, reason="needs the extra `ray`")


@pytest.fixture
def made(tmp_path: Path) -> Artifact:
    def make(folder: Path) -> None:
        (folder / "inner").mkdir()
        (folder / "inner" / "numbers").write_bytes(b"1 2 3")

    return Store(tmp_path / "one").obtain("train", {"of": 1}, make).artifact


@pytest.fixture
def exchange(tmp_path: Path) -> Any:
    from recurra_flows.ray.exchange import Exchange

    return Exchange(f"file://{tmp_path}/between")


def test_what_is_pulled_is_what_was_pushed(made: Artifact, exchange: Any, tmp_path: Path) -> None:
    there = Store(tmp_path / "two")
    exchange.push(made)
    pulled = exchange.pull(there, "train", made.key, made.digest)
    assert pulled.file("inner/numbers").read_bytes() == b"1 2 3"
    assert there.find("train", made.key) == pulled


def _flipped(copy: Path) -> None:
    (copy / "inner" / "numbers").write_bytes(b"1 2 4")


def _cut(copy: Path) -> None:
    (copy / "inner" / "numbers").write_bytes(b"1 2")


def _gone(copy: Path) -> None:
    (copy / "inner" / "numbers").unlink()


def _emptied(copy: Path) -> None:
    (copy / "manifest.json").write_bytes(b"")


@pytest.mark.parametrize("damaged", [_flipped, _cut, _gone, _emptied])
def test_a_damaged_copy_is_refused_and_the_next_push_cures_it(
    damaged: Callable[[Path], None], made: Artifact, exchange: Any, tmp_path: Path
) -> None:
    exchange.push(made)
    [copy] = [path.parent for path in (tmp_path / "between").rglob("manifest.json")]
    damaged(copy)
    there = Store(tmp_path / "two")
    with pytest.raises(WorkerHinderedError, match=f"between, train/{made.key}: "):
        exchange.pull(there, "train", made.key, made.digest)
    assert there.peek("train", made.key) is None

    exchange.push(made)
    assert exchange.pull(there, "train", made.key, made.digest).file("inner/numbers").read_bytes() == b"1 2 3"


def test_of_two_tasks_that_need_one_artifact_one_lays_it_there(
    made: Artifact, exchange: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid, started, go = [], threading.Event(), threading.Event()
    put = fsspec.implementations.local.LocalFileSystem.put_file

    def slow(self: Any, path: str, target: str, **more: Any) -> None:
        laid.append(target)
        started.set()
        assert go.wait(10)
        put(self, path, target, **more)

    monkeypatch.setattr(fsspec.implementations.local.LocalFileSystem, "put_file", slow)
    threads = [threading.Thread(target=exchange.push, args=(made,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert started.wait(10)
    go.set()
    for thread in threads:
        thread.join(10)
    assert [Path(target).name for target in laid] == ["numbers", "manifest.json"]


def test_what_somebody_else_is_laying_there_is_not_written_over(made: Artifact, exchange: Any, tmp_path: Path) -> None:
    exchange.push(made)
    [manifest] = (tmp_path / "between").rglob("manifest.json")
    manifest.unlink()  # not there yet
    (manifest.parent / "inner" / "numbers").write_bytes(b"1 ")
    exchange.push(made)
    assert exchange.pull(Store(tmp_path / "two"), "train", made.key, made.digest).digest == made.digest
    assert (manifest.parent / "inner" / "numbers").read_bytes() == b"1 "


def test_an_exchange_cannot_write_outside_the_store(made: Artifact, exchange: Any, tmp_path: Path) -> None:
    exchange.push(made)
    manifest = next((tmp_path / "between").rglob("manifest.json"))
    manifest.write_text(manifest.read_text().replace("inner/numbers", "../../../evil"))
    with pytest.raises(RecurraError, match=r"is no artifact of recurra's"):
        exchange.pull(Store(tmp_path / "two"), "train", made.key, made.digest)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("memory://x", "no other process sees it"),
        ("nothing://x", "--shared nothing://x: Protocol not known: nothing"),
    ],
)
def test_an_exchange_that_cannot_be_is_refused_before_the_cluster_is_asked(url: str, said: str) -> None:
    from recurra_flows.machines import Wanted

    with pytest.raises(InputError, match=said):
        Wanted("ray", "127.0.0.1:1", url).check()


def test_what_a_file_system_raises_is_one_line_that_may_be_tried_again(
    made: Artifact, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any, **__: Any) -> None:
        raise LookupError("the connection\nwas lost")  # as paramiko's and s3fs's own, no OSError

    monkeypatch.setattr(fsspec.implementations.local.LocalFileSystem, "put_file", lost)
    with pytest.raises(WorkerHinderedError, match=r"^--shared .*: LookupError: the connection was lost$"):
        exchange.push(made)


def test_a_password_is_not_shown() -> None:
    from recurra_flows.machines import Wanted
    from recurra_flows.ray.exchange import Exchange

    exchange = Exchange("sftp://me:se@cret@host/folder")
    assert exchange.shown == "sftp://host/folder"
    assert Wanted("ray", "auto", exchange.url).options == " --runner ray --address auto --shared sftp://host/folder"


def test_why_a_node_made_it_is_told_by_what_was_made_here_before(made: Artifact, exchange: Any, tmp_path: Path) -> None:
    from recurra_flows.ray.cluster import Cluster
    from recurra_flows.ray.nodes import Capacity

    node, here = Store(tmp_path / "node"), Store(tmp_path / "one")
    newer = node.obtain("train", {"of": 2}, lambda folder: (folder / "a").touch()).artifact
    exchange.push(newer)
    answer = {"stage": "train", "key": newer.key, "hit": False, "why": "first time", "digest": newer.digest}
    received = Cluster(Capacity([]), exchange).received(
        {**answer, "inputs": newer.inputs}, {"store": str(here.root)}, "e"
    )
    assert received["why"] == "of 1 -> 2"
    assert here.find("train", newer.key) == replace(newer, path=here.place("train", newer.key))
