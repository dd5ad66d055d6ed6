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

from recurra import stages
from recurra.config import load_experiment
from recurra.progress import Silent
from recurra.store import Store

pytestmark = pytest.mark.prefect
Command = Callable[..., subprocess.CompletedProcess[str]]


def _interrupt(process: subprocess.Popen[str], number: int) -> None:
    """Sends the signal to a run whose worker trains on after a checkpoint, and sees both end."""
    worker = _until(lambda: _worker_in_training(process.pid))
    os.kill(process.pid, number)
    process.communicate(timeout=120)  # Prefect writes down how the run ended, which takes its time on a busy machine
    _until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


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
    process = started("run", "e.yaml", "train.checkpoint_seconds=0", PREFECT_API_URL=prefect_api, PLAIN_SLOW="30")
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
