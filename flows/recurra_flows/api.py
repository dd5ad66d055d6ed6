"""Which Prefect API a run talks to: the user's, or a server of its own that starts while the rest is imported.

Import this module before Prefect: Prefect reads its settings when it is imported.
"""

from __future__ import annotations

import atexit
import base64
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

from recurra.errors import RecurraError
from recurra.home import Home
from recurra_flows.choices import prefect_choice
from recurra_flows.up.record import standing
from recurra_flows.worker_process import end

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PATIENCE = 300.0
"""Seconds for a server to start; the first start makes the database, and that can be slow."""


def settle(home: Home, debug: bool = False) -> None:
    """Prefect's settings as recurra wants them, wherever the user has not chosen: quiet, and telling nobody."""
    wanted = {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "NOTSET" if debug else "CRITICAL",
    }
    if not _can_write(prefect_home()):
        wanted["PREFECT_HOME"] = str(home.path / "prefect")
    elif not prefect_choice("home") and not chosen_database():
        # With the runs that it tells of, so that `recurra up` shows them all.
        wanted["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = f"sqlite+aiosqlite:///{home.path}/prefect/prefect.db"
        with suppress(OSError):  # whoever needs it says what is wrong with the folder
            (home.path / "prefect").mkdir(mode=0o700, parents=True, exist_ok=True)  # as Prefect's own: it holds all
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
    if chosen_url() is None and (up := standing(home)) is not None and up.own and answers(up.api):
        os.environ["PREFECT_API_URL"] = up.api
        call_directly(urlsplit(up.api).hostname or "")
        if (known := login()) and not prefect_choice("api", "auth_string"):
            os.environ["PREFECT_API_AUTH_STRING"] = known


def login() -> str | None:
    """`user:password` that Prefect's server asks for; None for nothing."""
    return prefect_choice("server", "api", "auth_string")


def answer_own_login() -> None:
    """What a server of our own asks for, this process and those below it answer."""
    if asked := login():
        os.environ["PREFECT_API_AUTH_STRING"] = asked


def chosen_database() -> str | None:
    """What the user chose as the database of Prefect's server; None for nothing."""
    names = (("server", "connection_url"), ("api", "connection_url"), ("server", "driver"))
    return next((chosen for owner, name in names if (chosen := prefect_choice(owner, "database", name))), None)


def keeps_database(home: Home) -> bool:
    """Whether a server of our own keeps its database in the home, and so tells of nothing else. After `settle`."""
    place = Path(home.path, "prefect")
    chosen = chosen_database()
    return chosen.endswith(f"//{place}/prefect.db") if chosen else prefect_home().is_relative_to(home.path)


def prefect_home() -> Path:
    """Where Prefect keeps its database."""
    return Path(prefect_choice("home") or "~/.prefect").expanduser()


def _can_write(folder: Path) -> bool:
    # Prefect makes the folder itself, but not the one above it.
    return os.access(folder if folder.exists() else folder.parent, os.W_OK)


def chosen_url() -> str | None:
    """The API that the user chose, wherever Prefect would find it; None for none."""
    return prefect_choice("api", "url")


def serve(note: Callable[[str], None]) -> Callable[[], None]:
    """Sees to it that there is an API, and where it is is in the environment; the answer waits until it can be used.

    The user's API is taken as it is. Without one, a server is started at once, in a process that ends with this one,
    however this one ends.
    """
    with suppress(OSError):  # Prefect makes the folder, but not those above it, and says what is wrong with it
        prefect_home().mkdir(mode=0o700, parents=True, exist_ok=True)
    if chosen := chosen_url():
        return lambda: reach(chosen)
    printed = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the server
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
        server = start("recurra_flows.server", listening, printed)
    # The socket is now the server's alone, so that a call is refused, not kept waiting, when the server is dead.
    os.environ["PREFECT_API_URL"] = url
    answer_own_login()
    call_directly("127.0.0.1")
    # Prefect sends its last logs when Python exits. This comes after, because it is registered before Prefect's import.
    atexit.register(end, server)
    return lambda: wait(server, url, printed, note)


def start(
    module: str, listening: socket.socket, printed: IO[bytes], env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """A server on that socket, in a process that ends with this one; what it prints goes to a file."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, str(listening.fileno())],
        stdin=subprocess.PIPE,
        stdout=printed,
        stderr=subprocess.STDOUT,
        pass_fds=[listening.fileno()],
        env={**os.environ, **(env or {})},
        start_new_session=True,
    )


def call_directly(*hosts: str) -> None:
    """No proxy for these: one for the world outside does not know this machine's own ports."""
    exempt = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    names = [name.strip() for name in exempt.split(",") if name.strip()]
    if "*" not in names:
        names += [host for host in hosts if host not in names]
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(names)


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    return host in LOOPBACK or (host.startswith("127.") and host.replace(".", "").isdigit())


def _direct(url: str) -> OpenerDirector:
    # No proxy: a proxy for the world outside does not know this machine's own ports.
    return build_opener(ProxyHandler({})) if is_loopback(urlsplit(url).hostname or "") else build_opener()


def answers(url: str, seconds: float = 3.0) -> bool:
    """Whether a Prefect API is there and well."""
    try:
        with _direct(url).open(f"{url}/health", timeout=seconds):
            return True
    except HTTPError as error:
        return error.code < 500  # it asks for a login, which Prefect's own settings hold
    except (OSError, ValueError):
        return False


def reach(url: str) -> None:
    """Returns where the API that the user chose answers; a RecurraError where it does not, or asks for a login that
    nobody set.
    """
    if not answers(url, 10.0):
        raise RecurraError(
            f"the Prefect API {url} does not answer; start it (`prefect server start`), or unset PREFECT_API_URL"
            " for a server of the run's own"
        )
    if _asks_for_login(url):
        raise RecurraError(f"the Prefect API {url} asks for a login; set PREFECT_API_AUTH_STRING to its user:password")


def _asks_for_login(url: str) -> bool:
    """Whether it refuses what this process would answer; its `/health` is everybody's."""
    if prefect_choice("api", "key"):
        return False  # Prefect Cloud's; Prefect says what is wrong with it
    given = prefect_choice("api", "auth_string")
    headers = {"Authorization": f"Basic {base64.b64encode(given.encode()).decode()}"} if given else {}
    try:
        with _direct(url).open(Request(f"{url}/admin/version", headers=headers), timeout=10):
            return False
    except HTTPError as error:
        return error.code == 401
    except (OSError, ValueError):
        return False  # it has ended meanwhile, or is busy: whoever calls it finds out


def wait(server: subprocess.Popen[bytes], url: str, printed: IO[bytes], note: Callable[[str], None]) -> None:
    """Returns when the server answers; a RecurraError where it does not. `note` is told of a long wait."""
    start, told = time.monotonic(), False
    while time.monotonic() - start < PATIENCE:
        if server.poll() is not None:
            raise RecurraError(_death(printed))
        if answers(url):
            return
        time.sleep(0.02)
        if not told and time.monotonic() - start > 8:
            told = True
            note("Prefect prepares its database (only once) ...")
    raise RecurraError(
        f"Prefect's server did not start within {PATIENCE:.0f} s; set PREFECT_API_URL to use a running one"
    )


def _death(printed: IO[bytes]) -> str:
    printed.seek(0)
    lines = [line for line in printed.read().decode(errors="replace").splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if "Error" in line), lines[-1] if lines else "it printed nothing")
    return f"Prefect's server did not start: {last.strip()[:300]}; set PREFECT_API_URL to use a running one"
