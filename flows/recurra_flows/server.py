"""Prefect's server for one run, in a process of its own: `python -m recurra_flows.server DESCRIPTOR`.

Prefect can start one by itself, but imports its whole server into the caller for it, waits before it imports anything
else, and leaves it behind when the caller is killed. This one serves on a socket that is already bound, while the
caller is busy with its own imports.
"""

from __future__ import annotations

import os
import sys

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
    from prefect.server.api.server import create_app

    uvicorn.run(
        create_app(ephemeral=True, final=True), fd=int(sys.argv[1]), log_level="error", lifespan="on", access_log=False
    )


if __name__ == "__main__":
    main()
