"""`recurra up` in a test: started, asked, killed."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

PATIENCE = 400.0
"""Seconds; a busy machine takes its time to start two processes that import Prefect."""


def until(found: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What `found` answers, as soon as that is something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := found():
            return answer
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def adjacent_ports(count: int) -> int:
    """The first of `count` ports that are free, and are not among those that the system gives out by itself."""
    while True:
        first = random.randrange(12_000, 30_000)
        try:
            with ExitStack() as held:
                for port in range(first, first + count):
                    held.enter_context(socket.create_server(("127.0.0.1", port)))
        except OSError:
            continue
        return first


class Up:
    """A `recurra up` (or `serve`), in a group of its own."""

    def __init__(self, *arguments: str, **env: str) -> None:
        code = "import sys; from recurra_flows.cli import main; sys.exit(main())"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **env},
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def said(self, part: str) -> str:
        """The line that holds `part`, when it has been printed."""

        def found() -> str | None:
            line = next((line for line in self.lines if part in line), None)
            assert line or self.process.poll() is None, self.lines
            return line

        return until(found)

    @property
    def url(self) -> str:
        """Of its dashboard, when all is up."""
        self.said("Ctrl-C ends it")
        return self.said("dashboard ").split()[1]

    def client(self) -> SyncPrefectClient:
        """Of its API."""
        return SyncPrefectClient(f"{self.url}/api")

    def processes(self) -> list[psutil.Process]:
        """All of it: itself, its server, what runs the deployments, flow runs, workers."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(), *(of for child in own.children() for of in child.children(recursive=True))]

    def begin(self, name: str, **parameters: Any) -> UUID:
        """Starts a run of a deployment, as the dashboard does."""
        with self.client() as client:
            deployment = client.read_deployment_by_name(name)
            return client.create_flow_run_from_deployment(deployment.id, parameters=parameters).id

    def flow_run(self, identity: UUID) -> FlowRun:
        """The flow run as it is now."""
        with self.client() as client:
            return client.read_flow_run(identity)

    def training(self) -> list[psutil.Process]:
        """All processes, once a worker trains on after a checkpoint."""

        def found() -> list[psutil.Process] | None:
            assert self.process.poll() is None, self.lines
            there = self.processes()
            workers = [each for each in there if "recurra_flows.worker" in _command(each)]
            return there if workers and list(Path("home/store/partial").glob("*/checkpoint.safetensors")) else None

        return until(found)

    def end(self, number: int = signal.SIGTERM) -> int:
        """What it exits with after the signal."""
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        self.process.wait(60)
        self._reader.join(10)
        return self.process.returncode


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def kill(processes: list[psutil.Process]) -> None:
    """As a power cut: all at once."""
    for process in processes:
        process.suspend()
    for process in processes:
        process.kill()


def gone(processes: list[psutil.Process]) -> bool:
    """Whether none of them lives."""
    return not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes)
