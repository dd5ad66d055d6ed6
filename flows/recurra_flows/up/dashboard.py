"""Prefect's server with its dashboard, for `recurra up`: `python -m recurra_flows.up.dashboard DESCRIPTOR`.

It answers nobody but this machine and its own pages, and serves the reports of the artifact store beside them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from recurra.home import Home
from recurra_flows.api import LOOPBACK, is_loopback, login
from recurra_flows.choices import prefect_choice
from recurra_flows.lifeline import follow

ORIGINS = "RECURRA_ORIGINS"
"""The variable that names the host names by which this server is reached, in a process of its own; empty: by any."""
STATIC = "PREFECT_SERVER_UI_STATIC_DIRECTORY"
CLOSING = 2
"""Seconds that pages which are open have, when it is told to end."""


WANTED = {
    ("server.ui.enabled", "ui.enabled"): "true",
    # Where the page came from: it may be reached by several names, and through a forwarded port.
    ("server.ui.api_url", "ui.api_url"): "/api",
    ("server.ui.show_promotional_content",): "false",
    # Its second user interface asks a tracker's server on every page, whatever is set.
    ("server.ui.v2_enabled",): "false",
    ("server.api.csrf_protection_enabled", "server.csrf_protection_enabled"): "true",
    ("server.logging_level", "logging.server_level"): "WARNING",
}
"""Prefect's settings, by the name of today and the one before, wherever the user has not chosen."""
ALLOWED = ("server.api.cors_allowed_origins", "server.cors_allowed_origins")


def surroundings(home: Home, host: str, port: int) -> dict[str, str]:
    """The environment of the dashboard's process: what is served where, and Prefect's settings as they are wanted."""
    names = [f"[{host}]" if ":" in host else host, "127.0.0.1", "localhost"]
    origins = ",".join(f"http://{name}:{port}" for name in dict.fromkeys(names))
    wanted = {**WANTED, ALLOWED: origins}
    asked = login()
    return {
        **{_variable(known[0]): value for known, value in wanted.items() if not _chosen(known)},
        _variable("server.api.host"): host,
        _variable("server.api.port"): str(port),
        # What was there when the host was checked is asked for by the server, wherever it may look.
        **({_variable("server.api.auth_string"): asked} if asked else {}),
        STATIC: str(home.path / "prefect" / "ui"),
        ORIGINS: ",".join(dict.fromkeys((*LOOPBACK, host))) if is_loopback(host) else "",
        "RECURRA_HOME": str(home.path),
        # By default the C library gives each thread a pool of its own, and no thread takes what another left free:
        # over 190 runs the server grew by 40 MB.
        "MALLOC_ARENA_MAX": os.environ.get("MALLOC_ARENA_MAX", "2"),
    }


def _variable(setting: str) -> str:
    return f"PREFECT_{setting.replace('.', '_')}".upper()


def _chosen(names: tuple[str, ...]) -> bool:
    return any(prefect_choice(*name.split(".")) is not None for name in names)


def main() -> None:
    """Serves until the process that started this one is gone."""
    follow(sys.stdin.buffer)
    os.environ.pop("PREFECT_API_URL", None)
    Path(os.environ[STATIC]).mkdir(parents=True, exist_ok=True)

    from prefect.server.api.server import create_app

    from recurra_flows.server import serve
    from recurra_flows.up.doorkeeper import Doorkeeper
    from recurra_flows.up.own_origin import OwnOrigin
    from recurra_flows.up.reports import Reports

    store, names = Home.default().store, [name for name in os.environ[ORIGINS].split(",") if name]
    app = Doorkeeper(Reports(OwnOrigin(create_app(final=True)), store, login()), names)
    serve(app, int(sys.argv[1]), timeout_graceful_shutdown=CLOSING)


if __name__ == "__main__":
    main()
