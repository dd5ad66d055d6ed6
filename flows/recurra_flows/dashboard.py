"""Prefect's server with its dashboard, for `recurra up`: `python -m recurra_flows.dashboard DESCRIPTOR`.

It answers nobody but this machine and its own pages, and serves the reports of the artifact store beside them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from recurra.home import Home
from recurra_flows.choices import prefect_choice
from recurra_flows.lifeline import follow

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ORIGINS = "RECURRA_ORIGINS"
"""The variable that names the host names by which this server is reached, in a process of its own; empty: by any."""
CLOSING = 2
"""Seconds that pages which are open have, when it is told to end."""


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    return host in LOOPBACK or (host.startswith("127.") and host.replace(".", "").isdigit())


def login() -> str | None:
    """`user:password` that Prefect's server asks for; None for nothing."""
    return prefect_choice("server", "api", "auth_string")


def surroundings(home: Home, host: str, port: int) -> dict[str, str]:
    """The environment of the dashboard's process: Prefect's settings, wherever the user has not chosen."""
    static = home.path / "prefect" / "ui"
    names = [f"[{host}]" if ":" in host else host, "127.0.0.1", "localhost"]
    wanted = {
        "PREFECT_SERVER_API_HOST": host,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_UI_ENABLED": "true",
        # Where the page came from: it may be reached by several names, and through a forwarded port.
        "PREFECT_UI_API_URL": "/api",
        "PREFECT_UI_STATIC_DIRECTORY": str(static),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # Its second user interface asks a tracker's server on every page, whatever is set.
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{name}:{port}" for name in dict.fromkeys(names)),
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    }
    chosen = {name: os.environ.get(name, value) for name, value in wanted.items()}
    return {**chosen, ORIGINS: ",".join(LOOPBACK) if is_loopback(host) else "", "RECURRA_HOME": str(home.path)}


def main() -> None:
    """Serves until the process that started this one is gone."""
    follow(sys.stdin.buffer)
    os.environ.pop("PREFECT_API_URL", None)
    Path(os.environ["PREFECT_UI_STATIC_DIRECTORY"]).mkdir(parents=True, exist_ok=True)

    from prefect.server.api.server import create_app

    from recurra_flows.doorkeeper import Doorkeeper
    from recurra_flows.reports import Reports
    from recurra_flows.server import serve

    store, names = Home.default().store, [name for name in os.environ[ORIGINS].split(",") if name]
    app = Doorkeeper(Reports(create_app(final=True), store, login()), names)
    serve(app, int(sys.argv[1]), timeout_graceful_shutdown=CLOSING)


if __name__ == "__main__":
    main()
