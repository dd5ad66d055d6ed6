"""Keeps and runs a project's deployments, in a process of its own: `python -m recurra_flows.up.runner_process`.

Each flow run is a process below this one, in its group. It reads one request on standard input, which is its lifeline,
and answers with events (JSON lines) on a descriptor of its own. SIGTERM ends it in good order.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from recurra_flows.lifeline import follow, lead


def main() -> None:
    """Works for the one request on standard input."""
    with os.fdopen(int(sys.argv[1]), "w", encoding="utf-8") as events:
        request = json.loads(sys.stdin.buffer.readline())
        follow(sys.stdin.buffer)
        lead()
        os.environ["PYTHONSAFEPATH"] = "1"  # a torch.py in the user's folder is not the framework, in a flow run either
        say = lambda event, **values: print(json.dumps({"event": event, **values}), file=events, flush=True)  # noqa: E731
        from recurra.errors import RecurraError
        from recurra_flows.up.upkeep import Upkeep

        try:
            asyncio.run(Upkeep(request, say).run())
        except RecurraError as error:
            say("error", line=str(error), input=error.exit_code == 2)
    os._exit(0)  # what is left are threads of Prefect's, which wait for a server that may be gone


if __name__ == "__main__":
    main()
