"""The same tasks on a Ray cluster: its nodes see the home folder or exchange artifacts, and one may be lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from recurra.durable import read_json
from recurra.home import Home
from recurra_flows.cli import main

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.skipif(find_spec("prefect_ray") is None, reason="needs the extra `ray`"),
]
Command = Callable[..., subprocess.CompletedProcess[str]]
COMPARE = ("compare", "e.yaml", "--backends", "plain", "--models", "cnn,rnn", "--seeds", "0", "--json")
CLUSTER = """
import sys, time
from ray._private import services
from ray.cluster_utils import Cluster

def patient(*asked, get_node=services.get_node):
    for _ in range(240):  # Ray gives a node half a minute to start, which a busy machine may not have
        try:
            return get_node(*asked)
        except RuntimeError:
            time.sleep(1)
    return get_node(*asked)

services.get_node = patient
small = {"num_cpus": 1, "object_store_memory": 80_000_000}
# Ray takes 127.0.0.1 for another name of the machine's address in its network.
head = {"node_ip_address": "127.0.0.2", "include_dashboard": False, "ray_client_server_port": int(sys.argv[1])}
soon = {"health_check_period_ms": 1000, "health_check_failure_threshold": 3}
cluster = Cluster(initialize_head=True, head_node_args={**small, **head, "_system_config": soon})
node = cluster.add_node(wait=False, node_ip_address="127.0.0.3", **small)
cluster.wait_for_nodes(240)
print(cluster.address, flush=True)
for line in sys.stdin:
    if line == "kill\\n":
        cluster.remove_node(node, allow_graceful=False)
    else:
        node = cluster.add_node(wait=False, node_ip_address="127.0.0.3", **small)
        cluster.wait_for_nodes(240)
    print("done", flush=True)
cluster.shutdown()
"""
"""Two nodes of one CPU until standard input ends; `kill` ends the second as a power cut does, `add` starts another."""


class Nodes:
    """The cluster, and how to reach it."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        assert process.stdout is not None
        self.process, self.client = process, f"ray://127.0.0.2:{port}"
        self.direct = process.stdout.readline().strip()

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(word, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == "done\n"

    def workers(self) -> list[psutil.Process]:
        """The processes on the nodes that train or test."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        return [each for each in found if _works(each)]


def _works(process: psutil.Process) -> bool:
    try:
        return "recurra_flows.worker" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@pytest.fixture(scope="module")
def nodes(plain_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with socket.create_server(("127.0.0.2", 0)) as free:
        port = free.getsockname()[1]
    # Sockets of Ray's lie below it, whose names may not be long.
    with _short_folder() as folder:
        env = {
            **os.environ,
            "PYTHONPATH": str(plain_path),
            "RAY_TMPDIR": folder,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RECURRA_HOME": str(tmp_path_factory.mktemp("of-nodes")),
            "RECURRA_DEVICES": "none",
            "PLAIN_SLOW": "1",
        }
        with _cluster(port, env) as process:
            yield Nodes(process, port)


@contextmanager
def _cluster(port: int, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=env,
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        yield process
    finally:
        left = psutil.Process(process.pid).children(recursive=True)
        with suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(60)
        finally:
            for each in psutil.wait_procs(left, 20)[1]:
                each.kill()


def _short_folder() -> Any:
    from tempfile import TemporaryDirectory

    return TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True)


def _found(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """What was measured of each run, without what it cost."""
    assert done.returncode == 0, done.stderr
    rows = pq.read_table(json.loads(done.stdout)["table"]).to_pylist()
    return [
        {name: row[name] for name in ("model", "seed", "epochs", "accuracy", "macro_f1", "dataset")} for row in rows
    ]


@pytest.mark.timeout(900)
def test_where_a_node_is_lost_the_comparison_ends_with_the_same_metrics_as_without_a_cluster(
    recurra: Command, started: Any, place: Path, nodes: Nodes, prefect_api: str
) -> None:
    here = recurra(*COMPARE, "train.epochs=4", RECURRA_HOME=str(place / "here"), PREFECT_API_URL=prefect_api)
    on_ray = (*COMPARE, "train.epochs=4", "--runner", "ray", "--address", nodes.client)
    process = started(*on_ray, PREFECT_API_URL=prefect_api)
    partial = place / "home" / "store" / "partial"
    _until(lambda: len(nodes.workers()) == 2 and len(list(partial.glob("*/checkpoint.safetensors"))) == 2)
    nodes.tell("kill")
    out, err = process.communicate(timeout=240)
    nodes.tell("add")
    assert _found(subprocess.CompletedProcess(on_ray, process.returncode, out, err)) == _found(here)
    assert "its node was lost (" in err
    assert err.count("train: epoch 1/4") == 2  # of each network; what was lost went on from its checkpoint


@pytest.mark.timeout(600)
def test_nodes_that_see_nothing_of_the_home_folder_exchange_artifacts(
    recurra: Command, place: Path, nodes: Nodes, prefect_api: str
) -> None:
    asked = ("--runner", "ray", "--address", nodes.direct, "--shared", f"file://{place}/exchange")
    done = recurra(*COMPARE, *asked, PREFECT_API_URL=prefect_api)
    assert [row["epochs"] for row in _found(done)] == [2, 2]
    assert "plain-cnn-seed-0-train: epoch 2/2" in done.stderr  # progress comes from there
    folder = Path(json.loads(done.stdout)["comparison"])
    assert "a framework's chatter" in (folder / "plain-cnn-seed-0-train.log").read_text()
    made = read_json(folder / "comparison.json")["stages"]["plain-cnn-seed-0-train"]
    assert Home(place / "home").store.find("train", made["key"]) is not None

    again = recurra(*COMPARE, *asked, PREFECT_API_URL=prefect_api)
    assert json.loads(again.stdout)["stages"]["miss"] == 0
    assert not list((place / "exchange").glob(".recurra-*"))


@pytest.mark.timeout(600)
def test_ctrl_c_ends_the_work_on_the_cluster(started: Any, place: Path, nodes: Nodes, prefect_api: str) -> None:
    asked = ("train.epochs=60", "--runner", "ray", "--address", nodes.client)
    process = started(*COMPARE, *asked, PREFECT_API_URL=prefect_api)
    _until(lambda: len(nodes.workers()) == 2)
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert "the same command goes on" in err
    _until(lambda: not nodes.workers())


@pytest.mark.timeout(600)
def test_a_run_that_was_stopped_says_how_it_goes_on_there(
    recurra: Command, started: Any, place: Path, nodes: Nodes, prefect_api: str
) -> None:
    on_ray = ("--runner", "ray", "--address", nodes.client)
    process = started("run", "e.yaml", "train.epochs=6", *on_ray, PREFECT_API_URL=prefect_api)
    partial = place / "home" / "store" / "partial"
    _until(lambda: list(partial.glob("*/checkpoint.safetensors")))
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=120)[1]
    [run] = (place / "home" / "runs").iterdir()
    assert f"`recurra resume {run.name} --runner ray --address {nodes.client}` goes on with it" in err

    done = recurra("resume", run.name, *on_ray, "--debug", PREFECT_API_URL=prefect_api)
    assert done.returncode == 0, done.stderr
    assert "epoch 6/6" in done.stderr
    assert "epoch 1/6" not in done.stderr
    assert "a framework's chatter" in done.stderr


@pytest.mark.timeout(600)
def test_a_node_with_another_version_of_the_backend_is_named(
    recurra: Command, place: Path, plain_path: Path, nodes: Nodes, tmp_path: Path
) -> None:
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "plain_backend.py").write_text((plain_path / "plain_backend.py").read_text())
    for path in (plain_path / "plain_backend-1.dist-info").iterdir():
        (newer / "plain_backend-2.dist-info").mkdir(exist_ok=True)
        text = path.read_text().replace("\nVersion: 1", "\nVersion: 2")
        (newer / "plain_backend-2.dist-info" / path.name).write_text(text)
    done = recurra(*COMPARE, "--runner", "ray", "--address", nodes.client, PYTHONPATH=str(newer))
    assert done.returncode == 2
    assert "error: node 127.0.0." in done.stderr
    assert "plain-backend 1 there, 2 here. All nodes need the same recurra and backends" in done.stderr
    assert not (place / "home" / "runs").exists()


def _until(holds: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--address", "ray://head:10001"), "--address ray://head:10001: it is for a cluster; add `--runner ray`"),
        (("--runner", "ray"), "--runner ray: which cluster? --address (or RAY_ADDRESS) names it: ray://HOST:10001"),
        (("--runner", "ray", "--address", "http://head:8265"), "--address http://head:8265: expected ray://HOST:10001"),
        (("--runner", "ray", "--address", "127.0.0.1:1"), "no Ray cluster answers at 127.0.0.1:1 ("),
    ],
)
def test_what_is_no_cluster_is_refused_in_one_line(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: Any, said: str
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert main([*COMPARE, *arguments]) in (1, 2)
    assert "ray" not in sys.modules
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.startswith(f"error: {said}")
