"""Prefect's server for one run, in a process of its own: `python -m recurra_flows.server DESCRIPTOR`.

Prefect can start one by itself, but imports its whole server into the caller for it, waits before it imports anything
else, and leaves it behind when the caller is killed. This one serves on a socket that is already bound, while the
caller is busy with its own imports. `recurra_flows.up.dashboard` is the one of `recurra up`.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from socket import socket
from typing import Any

from recurra_flows.lifeline import follow


def main() -> None:
    """Serves until the process that started this one is gone."""
    follow(sys.stdin.buffer)
    # Registering the built-in block types takes half a second and nothing here uses them.
    os.environ.setdefault("PREFECT_API_BLOCKS_REGISTER_ON_START", "false")
    os.environ.setdefault("PREFECT_UI_ENABLED", "false")
    os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "ERROR")
    os.environ.pop("PREFECT_API_URL", None)

    from prefect.server.api.server import create_app

    serve(create_app(ephemeral=True, final=True), int(sys.argv[1]))


def serve(app: Any, descriptor: int, **settings: Any) -> None:
    """Serves the ASGI application on a socket that is bound, until the process is told to end."""
    import uvicorn
    from filelock import FileLock

    from recurra_flows.sqlite_database import use_immediate_transactions

    use_immediate_transactions()
    starting = FileLock(_lock())

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket] | None = None) -> None:
            await super().startup(sockets)
            starting.release()

    config = uvicorn.Config(app, fd=descriptor, log_level="error", lifespan="on", access_log=False, **settings)
    # Prefect's migrations are not safe from one another: of servers that start at once, one at a time prepares.
    with suppress(OSError):
        starting.acquire()
    Server(config).run()


def _lock() -> Path:
    """Beside the database, which servers with other Prefect homes may share."""
    from prefect.settings import get_current_settings
    from sqlalchemy.engine import make_url

    settings = get_current_settings()
    database = settings.server.database.connection_url
    file = make_url(database.get_secret_value()).database if database else None
    beside = Path(file).parent if file and Path(file).is_absolute() else settings.home
    return (beside if beside.is_dir() else settings.home) / "recurra.lock"


if __name__ == "__main__":
    main()
