"""Prefect's server for one run, in a process of its own: `python -m recurra_flows.server DESCRIPTOR`.

Prefect can start one by itself, but imports its whole server into the caller for it, waits before it imports anything
else, and leaves it behind when the caller is killed. This one serves on a socket that is already bound, while the
caller is busy with its own imports.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from socket import socket

from recurra_flows.lifeline import follow


def main() -> None:
    """Serves until the process that started this one is gone."""
    follow(sys.stdin.buffer)
    # Registering the built-in block types takes half a second and nothing here uses them.
    os.environ.setdefault("PREFECT_API_BLOCKS_REGISTER_ON_START", "false")
    os.environ.setdefault("PREFECT_UI_ENABLED", "false")
    os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "ERROR")
    os.environ.pop("PREFECT_API_URL", None)

    import uvicorn
    from filelock import FileLock
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    starting = FileLock(get_current_settings().home / "recurra.lock")

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket] | None = None) -> None:
            await super().startup(sockets)
            starting.release()

    app = create_app(ephemeral=True, final=True)
    config = uvicorn.Config(app, fd=int(sys.argv[1]), log_level="error", lifespan="on", access_log=False)
    # Prefect's migrations are not safe from one another: of servers that start at once, one at a time prepares.
    with suppress(OSError):
        starting.acquire()
    Server(config).run()


if __name__ == "__main__":
    main()
