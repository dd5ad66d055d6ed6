"""Runs that are stopped or killed: a true record, no process left behind, and the same bytes after a resume."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling

from recurra import stages
from recurra.config import load_experiment
from recurra.devices import Leases
from recurra.progress import Silent
from recurra.store import Store

pytestmark = pytest.mark.prefect
Command = Callable[..., subprocess.CompletedProcess[str]]


def _interrupt(process: subprocess.Popen[str], number: int) -> None:
    """Sends the signal to a run whose worker trains on after a checkpoint, and sees both end."""
    worker = _until(lambda: _worker_in_training(process.pid))
    os.kill(process.pid, number)
    _ends_with_all_it_had(process, worker)


def _ends_with_all_it_had(process: subprocess.Popen[str], worker: psutil.Process) -> None:
    process.communicate(timeout=60)
    _until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    _until(lambda: not [each for each in Leases.of_this_machine().holdings() if each.holder])


def _until(found: Callable[[], Any]) -> Any:
    for _ in range(1200):
        if answer := found():
            return answer
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def _worker_in_training(pid: int) -> psutil.Process | None:
    if not list(Path("home/store/partial").glob("*/checkpoint.safetensors")):
        return None
    children = psutil.Process(pid).children()
    return next((child for child in children if "recurra_flows.worker" in child.cmdline()), None)


def _undisturbed(store: Store) -> dict[str, bytes]:
    """What the same training comes to in one go, in this process."""
    experiment = load_experiment(Path("e.yaml"), ())
    dataset = stages.preprocess(experiment, store, Silent()).artifact
    return _weights(stages.train(experiment, store, dataset, Silent()).artifact.path)


def _weights(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


@pytest.mark.parametrize(
    ("number", "status", "recorded"),
    [(signal.SIGINT, 130, "stopped"), (signal.SIGTERM, 130, "stopped"), (signal.SIGKILL, -9, "killed")],
)
def test_an_interrupted_run_ends_its_worker_says_what_it_was_and_goes_on(
    recurra: Command,
    started: Callable[..., subprocess.Popen[str]],
    prefect_api: str,
    number: int,
    status: int,
    recorded: str,
    place: Path,
) -> None:
    process = started("run", "e.yaml", "train.checkpoint_seconds=0", PREFECT_API_URL=prefect_api, PLAIN_SLOW="600")
    _interrupt(process, number)
    assert process.returncode == status
    shown = json.loads(recurra("runs", "show", "latest", "--json").stdout)
    assert shown["status"] == recorded
    assert "train" not in shown["stages"]
    done = recurra("resume", "latest", "--json", PREFECT_API_URL=prefect_api)
    assert "train: going on from the checkpoint at epoch 1, step" in done.stderr
    resumed = json.loads(done.stdout)
    assert resumed["run"] == shown["run"]
    assert _weights(Path(resumed["stages"]["train"]["artifact"])) == _undisturbed(Store(place / "undisturbed"))


def test_a_run_that_is_cancelled_in_the_dashboard_ends_as_by_ctrl_c_and_goes_on(
    recurra: Command, started: Callable[..., subprocess.Popen[str]], prefect_api: str, place: Path
) -> None:
    (place / "cancelled.yaml").write_text((place / "e.yaml").read_text())
    slow = {"PREFECT_API_URL": prefect_api, "PLAIN_SLOW": "600"}
    process = started("run", "cancelled.yaml", "train.checkpoint_seconds=0", **slow)
    worker = _until(lambda: _worker_in_training(process.pid))
    [flow_run] = _flow_runs("cancelled/plain")
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(flow_run.id, Cancelling())
    _ends_with_all_it_had(process, worker)
    assert process.returncode == 130
    [flow_run] = _flow_runs("cancelled/plain")
    assert flow_run.state_name == "Cancelled"
    assert json.loads(recurra("runs", "show", "latest", "--json").stdout)["status"] == "stopped"
    done = recurra("resume", "latest", "--json", PREFECT_API_URL=prefect_api)
    assert "train: going on from the checkpoint at epoch 1, step" in done.stderr
    assert done.returncode == 0


def _flow_runs(name: str) -> list[FlowRun]:
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name])))


def test_a_worker_that_is_killed_once_is_started_again_and_goes_on_from_its_checkpoint(
    recurra: Command, prefect_api: str, place: Path
) -> None:
    arguments = ("run", "e.yaml", "train.checkpoint_seconds=0", "--json")
    done = recurra(*arguments, PREFECT_API_URL=prefect_api, PLAIN_DIES="once")
    assert done.returncode == 0, done.stderr
    assert (place / "died").exists()
    assert "train: going on from the checkpoint at epoch 1, step" in done.stderr
    trained = Path(json.loads(done.stdout)["stages"]["train"]["artifact"])
    assert _weights(trained) == _undisturbed(Store(place / "undisturbed"))
