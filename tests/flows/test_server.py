"""The server of a run's own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.prefect
OWNER = """
from recurra_flows import api
wait = api.serve(print)
wait()
print("ready", flush=True)
input()
"""


def test_it_is_gone_when_the_process_that_started_it_is_killed(place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() in ("Prefect prepares its database (only once) ...\n", "ready\n")
            (server,) = psutil.Process(owner.pid).children()
            assert "recurra_flows.server" in server.cmdline()
        finally:
            owner.kill()
    assert _gone(server)


def _gone(process: psutil.Process) -> bool:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False
