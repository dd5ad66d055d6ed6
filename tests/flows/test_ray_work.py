"""What needs no cluster of the way to one: what is asked of it, what it may not do, and how its failures are told."""

from __future__ import annotations

import fcntl
import io
import os
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from recurra.errors import InputError
from recurra.progress import Lines
from recurra.store import Store
from recurra_flows.worker_process import Live
from recurra_flows.workers import WorkerHinderedError, WorkerLostError

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.skipif(find_spec("prefect_ray") is None, reason="needs the extra `ray`"),
]
ALONE = """
import functools
import recurra_flows.ray.connection as connection

def alone(address, told, enter=connection._enter):
    from ray._private import services  # somebody's Ray may be on this machine
    services.find_gcs_addresses, services.find_bootstrap_address = functools.cache(frozenset), lambda *_: None
    enter(address, told)

connection._enter = alone
try:
    with connection.connected("auto", print):
        print("connected")
except connection.RecurraError as error:
    print("refused:", error)

import ray
print("a Ray is here:", ray.is_initialized())
asked = []
ray.init = lambda *args, **more: asked.append(args)
for ask in (lambda: ray.wait([]), lambda: ray.get([]), lambda: ray.kill(None)):
    try:
        ask()
    except Exception:
        pass
print("asked for one:", asked)
"""
"""Where there is no cluster: `auto`, and then what is asked of a connection that was lost."""


def test_no_ray_is_started_where_there_is_none_or_the_connection_is_lost(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", ALONE], capture_output=True, text=True, env={**env, "HOME": str(tmp_path)}, check=False
    )
    refused, *rest = done.stdout.splitlines()
    assert refused.startswith("refused: the Ray cluster at auto cannot be used: Could not find any running Ray")
    assert rest == ["a Ray is here: False", "asked for one: []"]


def test_an_address_that_the_environment_has_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from recurra_flows.ray.connection import checked

    monkeypatch.setenv("RAY_ADDRESS", "http://head:8265")
    for address in (None, "auto"):
        with pytest.raises(InputError, match=r"^RAY_ADDRESS http://head:8265: expected ray://HOST:10001"):
            checked(address)


def test_a_node_that_does_not_see_the_folder_or_its_locks_says_so(tmp_path: Path) -> None:
    from recurra_flows.ray.inspection import reach

    assert reach(str(tmp_path / "gone"), None, "a", "x", "b") == "it does not see what was just written there"
    (tmp_path / "a").write_text("x")
    with (tmp_path / "a").open() as file:
        assert "locks (flock) that are held elsewhere are not heeded" in reach(str(tmp_path), None, "a", "x", "b")
        fcntl.flock(file, fcntl.LOCK_EX)
        assert reach(str(tmp_path), None, "a", "x", "b") == ""
    assert (tmp_path / "b").read_text() == "x"


def test_a_task_asks_ray_for_what_its_tags_say() -> None:
    from recurra_flows.ray.nodes import Capacity, Node

    cpus = Capacity([Node("a", "a", 4, 0), Node("b", "b", 2, 0)])
    gpus = Capacity([Node("a", "a", 16, 4), Node("b", "b", 8, 2), Node("head", "head", 4, 0)])
    assert cpus.options({"cpu", "mine"}, 2) == {"num_gpus": 0, "num_cpus": 2}
    assert cpus.options({"gpu:2"}, 1) == {"num_gpus": 0, "num_cpus": 2}
    assert gpus.options({"gpu:4"}, None) == {"num_gpus": 4, "num_cpus": 16}
    assert gpus.options({"gpu:1"}, None) == {"num_gpus": 1, "num_cpus": 4}
    assert gpus.options({"mine"}, None) is None
    with pytest.raises(InputError, match="5 GPUs asked for, and the largest node of the cluster has 4"):
        gpus.options({"gpu:5"}, None)


def test_a_node_of_gpus_alone_is_not_asked_for_a_cpu() -> None:
    from recurra_flows.ray.nodes import Capacity, Node

    of = Capacity([Node("g", "g", 0, 1), Node("h", "h", 8, 0)])
    assert of.options({"gpu:1"}, None) == {"num_gpus": 1, "num_cpus": 0}


def _order(**changed: Any) -> Any:
    from recurra_flows.ray.errand import Order
    from recurra_flows.ray.inspection import facts

    fields = {"body": "devices", "request": {}, "digests": {}, "exchange": None, "cpus": 8, "gpus": 0}
    return Order(**{**fields, "facts": facts(["plain"]), "backend": "plain", "name": "e", **changed})


def test_a_smaller_limit_of_threads_that_a_node_has_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    from recurra_flows.ray.errand import surroundings

    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("MKL_NUM_THREADS", "64")
    limits = surroundings(_order())
    assert (limits["OMP_NUM_THREADS"], limits["MKL_NUM_THREADS"]) == ("2", "8")
    assert surroundings(_order(cpus=0)).get("OMP_NUM_THREADS") is None


def test_an_errand_hands_over_what_was_printed_and_leaves_no_file(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recurra_flows.ray.errand import Errand

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # so that the worker prints
    errand = Errand()
    errand.begin(_order(body="no such body", request={"store": str(place / "home" / "store")}))
    printed, end = b"", time.monotonic() + 60
    while (look := errand.look()).answer is None and time.monotonic() < end:
        printed += look.printed
        assert not list(temporary.iterdir())
    assert look.answer is not None
    assert "; what it printed" not in look.answer["line"]
    assert b"import time:" in printed + look.printed
    assert not list(temporary.iterdir())


class Lost:
    """A cluster on which every actor is lost in the same way."""

    def __init__(self, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
        from recurra_flows.ray.work import Work

        self.tried, self.error, self.told = 0, error, io.StringIO()
        monkeypatch.setattr(Work, "_errand", self._errand)
        self.work = Work(self, {"num_cpus": 1, "num_gpus": 0}, Live())  # pyright: ignore[reportArgumentType]

    def order(self, *_: Any) -> None:
        """Nothing, which nobody gets."""

    def _errand(self, *_: Any) -> None:
        self.tried += 1
        raise self.error

    def done(self) -> None:
        """The work."""
        self.work.done("train", {}, Lines(self.told), None)


def test_lost_nodes_are_no_fault_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.exceptions import RayActorError

    lost = Lost(RayActorError(error_msg="It died because its node was lost: no heartbeat."), monkeypatch)
    with pytest.raises(WorkerHinderedError, match="4 nodes were lost, one after the other"):
        lost.done()
    line = "train: its node was lost (its node was lost); it is given to the cluster again"
    assert lost.told.getvalue().splitlines() == [line] * 3


def test_an_actor_that_cannot_begin_is_told_by_its_cause_and_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.exceptions import RayActorError

    text = "The actor died because of an error raised in its creation task, \x1b[36mray::Errand.__init__()\x1b[39m\n"
    lost = Lost(RayActorError("", f"{text}  File x\nOSError: No space left", actor_init_failed=True), monkeypatch)
    with pytest.raises(WorkerHinderedError, match=r"^train: a node cannot begin with it: OSError: No space left$"):
        lost.done()
    assert lost.tried == 1


def test_a_full_memory_is_told_with_what_to_do_and_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.exceptions import RayActorError

    text = "The actor died. Worker exit type: NODE_OUT_OF_MEMORY Worker exit detail: Task was killed."
    lost = Lost(RayActorError(error_msg=text), monkeypatch)
    with pytest.raises(WorkerLostError, match=r"memory was full: see train\.batch_size") as caught:
        lost.done()
    assert (lost.tried, type(caught.value)) == (1, WorkerLostError)


def test_what_ray_raises_besides_is_one_line_that_may_be_tried_again() -> None:
    from recurra_flows.ray.work import _of_ray

    with (
        pytest.raises(WorkerHinderedError, match=r"^train: the Ray cluster: Client Wait request failed$"),
        _of_ray("train"),
    ):
        raise Exception("Client Wait request failed")  # as its client does


def test_with_debug_a_worker_prints_on_standard_error_and_otherwise_its_log_is_there(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from recurra_flows.ray.work import _printing

    with _printing(None) as printing:
        printing(b"a framework's chatter\n")
    with _printing(tmp_path / "log"):
        assert (tmp_path / "log").read_bytes() == b""
    assert "a framework's chatter" in capfd.readouterr().err


def test_what_a_node_has_made_is_waited_for(tmp_path: Path) -> None:
    from recurra_flows.ray.cluster import Cluster
    from recurra_flows.ray.nodes import Capacity

    store = Store(tmp_path)
    made = Store(tmp_path / "elsewhere").obtain("train", {"of": 1}, lambda folder: None).artifact

    def appear() -> None:
        time.sleep(0.3)
        (tmp_path / "train").mkdir()
        made.path.rename(store.place("train", made.key))

    threading.Thread(target=appear).start()
    Cluster(Capacity([]), None).received({"stage": "train", "key": made.key}, {"store": str(tmp_path)}, "e")
    assert store.peek("train", made.key) is not None
