"""Brings up a project: the dashboard's server, and the process that runs its deployments; Ctrl-C ends both."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import urlsplit

from recurra.errors import InputError, RecurraError
from recurra.home import Home
from recurra_flows import api
from recurra_flows.project import Project
from recurra_flows.up.dashboard import surroundings
from recurra_flows.up.record import record_up, up_lock
from recurra_flows.worker_process import end, send, worker_process

PORTS = 100
"""How many ports are tried, from the project's on."""
PATIENCE = 10.0
"""Seconds that flow runs have to end in good order."""


class Spectator(Protocol):
    """Who is told how it goes."""

    def note(self, line: str) -> None:
        """Something happened."""
        ...

    def up(self, where: Server) -> None:
        """The API answers."""
        ...

    def scheduled(self, rows: list[dict[str, str]]) -> None:
        """The deployments are registered; a row for each that a schedule runs. Told again when they change."""
        ...


@dataclass(frozen=True)
class Server:
    """Where Prefect's API is."""

    url: str
    """What a person opens."""
    api: str
    """What programs call."""
    own: bool
    """Whether it is ours, rather than one that the user chose."""


def bring_up(
    project: Project, origin: str, folder: Path, home: Home, shown: Spectator, file: Path | None = None
) -> None:
    """Runs until Ctrl-C or SIGTERM, which raise KeyboardInterrupt; then nothing is left of it.

    `origin` is what errors about the project name; `file` is read again when it changes. Relative paths are meant from
    `folder`. An InputError where the project is wrong, where its host needs a login, or where the home is up already; a
    RecurraError where a part of it fails.
    """
    home.made()
    os.chdir(folder)  # first: Prefect reads its settings there as well, for the check as for the server
    _check_access(project.host, origin)
    os.environ["RECURRA_HOME"] = str(home.path)
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "WARNING")  # to the log files
    with up_lock(home):
        api.settle(home)
        logs = home.path / "prefect"
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        request = {
            "project": None if file else project.model_dump(mode="json", by_alias=True),
            "origin": origin,
            "file": str(file) if file else None,
            "folder": str(folder),
            "own_database": api.keeps_database(home),
        }
        with _server(project, home, logs, shown) as server, (logs / "runner.log").open("wb") as printed:
            _run({**request, "api": server.where.api, "own_server": server.where.own}, home, server, printed, shown)


@dataclass(frozen=True)
class _Started:
    where: Server
    process: subprocess.Popen[bytes] | None
    printed: IO[bytes] | None

    def wait(self, shown: Spectator) -> None:
        if self.process is None or self.printed is None:
            api.reach(self.where.api)
        else:
            api.wait(self.process, self.where.api, self.printed, shown.note)


def _run(request: dict[str, Any], home: Home, server: _Started, printed: IO[bytes], shown: Spectator) -> None:
    with worker_process("recurra_flows.up.runner_process", printed) as (process, events):
        send(process, [json.dumps(request).encode(), b"\n"])
        told = (json.loads(line) for line in events)
        try:
            # What is wrong with the project is said before anybody is told that it is up.
            if "checked" in (_show(event, shown) for event in told):
                server.wait(shown)
                record_up(home, server.where.url, server.where.api, server.where.own)
                shown.up(server.where)
                if server.process is not None:
                    threading.Thread(target=_follow, args=(server.process, process), daemon=True).start()
                for event in told:
                    _show(event, shown)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
    raise RecurraError(
        f"what runs the deployments has ended by itself; {printed.name} and server.log beside it say more"
    )


def _follow(server: subprocess.Popen[bytes], runner: subprocess.Popen[bytes]) -> None:
    """Without its server the runner is of no use."""
    server.wait()
    with suppress(ProcessLookupError):
        runner.terminate()


def _show(event: dict[str, Any], shown: Spectator) -> str:
    """The event's name; what it tells is shown, or raised."""
    if event["event"] == "error":
        raise (InputError if event["input"] else RecurraError)(event["line"])
    if event["event"] == "note":
        shown.note(event["line"])
    elif event["event"] == "ready":
        shown.scheduled(event["rows"])
    return event["event"]


@contextmanager
def _server(project: Project, home: Home, logs: Path, shown: Spectator) -> Iterator[_Started]:
    """The API that the user chose, or a server of our own, which is gone after the block."""
    if chosen := api.chosen_url():
        yield _Started(Server(chosen.removesuffix("/api"), chosen, own=False), None, None)
        return
    with (logs / "server.log").open("w+b") as printed:
        with _bound(project.host, project.port, shown) as listening:
            port = listening.getsockname()[1]
            process = api.start(
                "recurra_flows.up.dashboard", listening, printed, surroundings(home, project.host, port)
            )
        try:
            where = _where(project.host, port)
            os.environ["PREFECT_API_URL"] = where.api
            os.environ["RECURRA_REPORTS"] = "/recurra/report"  # of wherever the dashboard's page came from
            api.answer_own_login()
            api.call_directly(urlsplit(where.api).hostname or "")
            yield _Started(where, process, printed)
        finally:
            end(process)


EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""What stands for all addresses of this machine -> the one that it reaches itself at."""


def _where(host: str, port: int) -> Server:
    inside = EVERYWHERE.get(host, host)
    outside = socket.gethostname() if host in EVERYWHERE else host
    return Server(f"http://{_bracketed(outside)}:{port}", f"http://{_bracketed(inside)}:{port}/api", own=True)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _check_access(host: str, origin: str) -> None:
    if not api.is_loopback(host) and api.chosen_url() is None and api.login() is None:
        raise InputError(
            f"{origin}: host: {host} lets other machines in, and anyone there could run flows; set"
            " PREFECT_SERVER_API_AUTH_STRING to user:password first, or leave host out"
        )


@contextmanager
def _bound(host: str, port: int, shown: Spectator) -> Iterator[socket.socket]:
    """A socket that listens at the port, or at the next one that is free."""
    for candidate in range(port, min(port + PORTS, 65_536)):
        try:
            listening = socket.create_server(
                (host, candidate),
                family=socket.AF_INET6 if ":" in host else socket.AF_INET,
                dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            reason = error.strerror or str(error)
            raise InputError(
                f"{host}:{candidate}: cannot be listened at ({reason}); choose another host or port"
            ) from None
        with listening:
            if candidate != port:
                shown.note(f"port {port} is taken; {candidate} is used")
            yield listening
        return
    raise InputError(f"ports {port} to {port + PORTS - 1} of {host} are all taken; choose another port")
