"""Registers a project's deployments and runs them, in a process of its own: `python -m recurra_flows.runner_process`.

Each flow run is a process below this one, in its group. It reads one request on standard input, which is its lifeline,
and answers with events (JSON lines) on a descriptor of its own. SIGTERM ends it in good order.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from inspect import signature
from pathlib import Path
from typing import Any
from uuid import UUID

from recurra_flows.lifeline import follow, lead

POLL = 2.0
"""Seconds between two looks for runs that are due, on a server of our own."""
COALESCE = 10.0
"""Seconds between two looks for times that were missed."""
LOOK = 2.0
"""Seconds between two looks at the project's files."""
Say = Callable[..., None]


def main() -> None:
    """Works for the one request on standard input."""
    with os.fdopen(int(sys.argv[1]), "w", encoding="utf-8") as events:
        request = json.loads(sys.stdin.buffer.readline())
        follow(sys.stdin.buffer)
        lead()
        os.environ["PYTHONSAFEPATH"] = "1"  # a torch.py in the user's folder is not the framework, in a flow run either
        say = lambda event, **values: print(json.dumps({"event": event, **values}), file=events, flush=True)  # noqa: E731
        from recurra.errors import RecurraError

        try:
            asyncio.run(Upkeep(request, say).run())
        except RecurraError as error:
            say("error", line=str(error), input=error.exit_code == 2)
    os._exit(0)  # what is left are threads of Prefect's, which wait for a server that may be gone


class Upkeep:
    """A project's deployments, kept as its files say, and the Runner that runs them.

    The request: `project`, `origin` (what its errors name), `file` (where it is read again; None for nowhere),
    `folder`, `api`, `own_server`, `own_database`.
    """

    def __init__(self, request: dict[str, Any], say: Say) -> None:
        from prefect.runner import Runner

        from recurra.config import validated
        from recurra.home import Home
        from recurra_flows.choices import prefect_choice
        from recurra_flows.project import Project

        self.origin, self.say, self.request, self.home = request["origin"], say, request, Home.default()
        self.project = validated(Project, request["project"], self.origin)
        self.file = Path(request["file"]) if request["file"] else None
        self.folder, self.own = Path(request["folder"]), request["own_server"]
        self.ids: dict[str, UUID] = {}
        chosen = prefect_choice("runner", "poll_frequency") or not self.own
        self.runner = Runner(
            name="recurra",
            query_seconds=None if chosen else POLL,
            limit=self.project.at_once,
            pause_on_shutdown=not self.own,  # a server that stays up would go on to plan runs for nobody
        )

    async def run(self) -> None:
        """Until SIGTERM."""
        from recurra_flows.deploying import deployments

        self.made = {each.full_name: each for each in deployments(self.project, self.folder, self.origin)}
        self.seen = self._look()
        await self._reached()
        for each in self.made.values():
            await self._register(each)
        await self._clear()
        await self._ready()
        stop = asyncio.Event()
        running = asyncio.create_task(self.runner.start())
        while not self.runner.started and not running.done():
            await asyncio.sleep(0.01)
        # In place of the Runner's own, which waits in a signal's handler for the loop that it interrupted.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        watching = [asyncio.create_task(each) for each in (self._watch(), self._coalesce())]
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for each in watching:
            each.cancel()
        if not running.done():
            await self.runner.astop()
        await running

    async def _reached(self) -> None:
        from recurra_flows.api import answers

        while not await asyncio.to_thread(answers, self.request["api"]):
            await asyncio.sleep(0.05)  # whoever started this process and the server gives up where it is too long

    async def _register(self, deployment: Any) -> None:
        self.ids[deployment.full_name] = await self.runner.aadd_deployment(deployment)

    async def _clear(self) -> None:
        """Ends what a crash left, and removes deployments that the project has no more."""
        from prefect import get_client
        from prefect.exceptions import ObjectNotFound

        from recurra.durable import read_json, write_json
        from recurra_flows import deployed
        from recurra_flows.orphans import adopt, forget_missed

        takes = {
            identity: list(signature(getattr(deployed, name.split("/")[0]).fn).parameters)
            for name, identity in self.ids.items()
        }
        async with get_client() as client:
            await forget_missed(client, self.ids.values())
            await adopt(client, self.home, takes, self.request["own_database"], self._note)
            known = self.home.path / "prefect" / "deployments.json"
            before = read_json(known) if known.is_file() else []
            for gone in {*map(UUID, before)} - {*self.ids.values()}:
                try:
                    await client.delete_deployment(gone)
                except ObjectNotFound:
                    continue
            known.parent.mkdir(parents=True, exist_ok=True)
            write_json(known, sorted(map(str, self.ids.values())))

    async def _ready(self) -> None:
        from recurra_flows.deploying import table

        self.say("ready", rows=await table(list(self.made.values())))

    def _note(self, line: str) -> None:
        self.say("note", line=line)

    async def _coalesce(self) -> None:
        """Of the times that pass while a run is going on, one waits."""
        from prefect import get_client

        from recurra_flows.orphans import forget_missed

        while True:
            await asyncio.sleep(COALESCE)
            with suppress(Exception):  # the server is busy or away: next time
                async with get_client() as client:
                    await forget_missed(client, list(self.ids.values()), waiting=1)

    async def _watch(self) -> None:
        """Registers anew what has changed in the project's files."""
        from recurra.errors import InputError

        while True:
            await asyncio.sleep(LOOK)
            seen = self._look()
            if seen == self.seen:
                continue
            self.seen = seen
            try:
                await self._read_again()
            except InputError as error:
                self._note(f"{error}; what was read before holds")
            except Exception as error:  # the server is busy or away: the schedules that it has hold
                self._note(f"{self.origin} has changed, and Prefect could not be told: {error}; change it again")

    async def _read_again(self) -> None:
        from prefect import get_client

        from recurra_flows.deploying import deployments
        from recurra_flows.project import load_project

        project = load_project(self.file) if self.file else self.project
        made = {each.full_name: each for each in deployments(project, self.folder, self.origin)}
        for field in ("port", "host", "data", "at_once"):
            if getattr(project, field) != getattr(self.project, field):
                self._note(f"{self.origin}: {field} has changed; it counts when `recurra up` is started again")
        changed = [each for name, each in made.items() if not each.same(self.made.get(name))]
        for each in changed:
            await self._register(each)
        gone = self.made.keys() - made.keys()
        async with get_client() as client:
            for name in gone:
                await client.pause_deployment(self.ids[name])  # a run of it may be going on
        self.project, self.made = project, made
        self.seen = self._look()
        if changed or gone:
            self._note(
                f"{self.origin} has changed: {', '.join(sorted({*gone, *(each.full_name for each in changed)}))}"
            )
            await self._ready()

    def _look(self) -> dict[str, tuple[int, int] | None]:
        """What tells whether a file was written."""
        files = [*self.project.files(self.folder), *([self.file] if self.file else [])]
        return {str(path): _signature(path) for path in files}


def _signature(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


if __name__ == "__main__":
    main()
