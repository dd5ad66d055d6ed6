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

pytestmark = pytest.mark.prefect
Command = Callable[..., subprocess.CompletedProcess[str]]


def _interrupt(process: subprocess.Popen[str], number: int) -> None:
    """Sends the signal to a run whose worker is training, and sees both end."""
    worker = _until(lambda: _worker_in_training(process.pid))
    os.kill(process.pid, number)
    process.communicate(timeout=60)
    _until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


def _until(found: Callable[[], Any]) -> Any:
    for _ in range(1200):
        if answer := found():
            return answer
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def _worker_in_training(pid: int) -> psutil.Process | None:
    if not list(Path("home/runs").glob("*/train.log")):
        return None
    for child in psutil.Process(pid).children():
        if "recurra_flows.worker" in child.cmdline():
            time.sleep(1.0)
            return child
    return None


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
) -> None:
    process = started("run", "e.yaml", PREFECT_API_URL=prefect_api, PLAIN_SLOW="0.5")
    _interrupt(process, number)
    assert process.returncode == status
    shown = json.loads(recurra("runs", "show", "latest", "--json").stdout)
    assert shown["status"] == recorded
    assert "train" not in shown["stages"]
    resumed = json.loads(recurra("resume", "latest", "--json", PREFECT_API_URL=prefect_api).stdout)
    assert resumed["run"] == shown["run"]
    assert resumed["stages"]["train"]["cache"] == "miss"
