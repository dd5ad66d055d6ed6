"""Registers a project's deployments, keeps them as its files say, and runs them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from inspect import signature
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import get_client
from prefect.exceptions import ObjectNotFound
from prefect.runner import Runner

from recurra.config import validated
from recurra.errors import InputError
from recurra.home import Home
from recurra_flows import deployed
from recurra_flows.api import answers
from recurra_flows.choices import prefect_choice
from recurra_flows.deploying import Deployment, deployments, table
from recurra_flows.project import Overlap, Project, load_project
from recurra_flows.up.missed_times import forget_missed, leave_out_overlaps
from recurra_flows.up.orphans import adopt
from recurra_flows.up.registered import Registered

POLL = 2.0
"""Seconds between two looks for runs that are due, and for those that overlap, on a server of our own."""
SELDOM = 10.0
"""Seconds between two looks for runs that overlap, on another."""
LOOK = 2.0
"""Seconds between two looks at the project's files."""
Signature = tuple[int, int] | None


class Upkeep:
    """A project's deployments, kept as its files say, and the Runner that runs them.

    The request: `project` (where there is no file), `origin` (what errors about the project name), `file` (where it is
    read; None for nowhere), `folder`, `api`, `own_server`, `own_database`. `say` is told the events `checked`, `ready`
    and `note`.
    """

    def __init__(self, request: dict[str, Any], say: Callable[..., None]) -> None:
        self.origin, self.say, self.request, self.home = request["origin"], say, request, Home.default()
        self.file = Path(request["file"]) if request["file"] else None
        self.folder, self.own = Path(request["folder"]), request["own_server"]
        self.registered = Registered(self.home, "own" if self.own else request["api"])
        self.seen: dict[Path, Signature] = {}
        self.ids: dict[str, UUID] = {}
        self.project = self._read()
        chosen = prefect_choice("runner", "poll_frequency") or not self.own
        self.runner = Runner(
            name="recurra",
            query_seconds=None if chosen else POLL,
            limit=self.project.at_once,
            pause_on_shutdown=not self.own,  # a server that stays up would go on to plan runs for nobody
        )

    async def run(self) -> None:
        """Until SIGTERM."""
        made = self._made(self.project)
        self.say("checked")
        while not await asyncio.to_thread(answers, self.request["api"]):
            await asyncio.sleep(0.05)  # whoever started this process and the server gives up where it is too long
        for each in made.values():
            await self._register(each)
        self.made = made
        await self._clear()
        await self._ready()
        stop = asyncio.Event()
        running = asyncio.create_task(self.runner.start())
        while not self.runner.started and not running.done():
            await asyncio.sleep(0.01)
        # In place of the Runner's own, which waits in a signal's handler for the loop that it interrupted.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        watching = [asyncio.create_task(each) for each in (self._watch(), self._leave_out())]
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for each in watching:
            each.cancel()
        if not running.done():
            await self.runner.astop()
        await running

    def _read(self) -> Project:
        """The project as its file says; what is written to its files from now on is seen as a change."""
        self.seen = _signatures([self.file] if self.file else [])
        project = load_project(self.file) if self.file else validated(Project, self.request["project"], self.origin)
        self.seen |= _signatures(project.files(self.folder))
        return project

    def _made(self, project: Project) -> dict[str, Deployment]:
        """Its deployments by name. On a server of the user's alone those of its schedules: the others have the same
        names on every machine, and from `prefect deploy`.
        """
        made = deployments(project, self.folder, self.origin, by_hand=self.own)
        return {each.full_name: each for each in made}

    async def _register(self, deployment: Deployment) -> None:
        """What a work pool's workers run is left to them."""
        if pool := await deployment.work_pool():
            if deployment.schedule is None:
                self._note(f"{deployment.full_name} is left to the work pool {pool}")
                return
            raise InputError(
                f"{self.origin}: schedules.{deployment.name}: {deployment.full_name} is a deployment of the work pool"
                f" {pool}; choose another name"
            )
        self.ids[deployment.full_name] = await self.runner.aadd_deployment(deployment)
        self.registered.add(self.ids[deployment.full_name])

    async def _clear(self) -> None:
        """Ends what a crash left, and removes deployments that the project has no more."""
        takes = {
            identity: list(signature(getattr(deployed, name.split("/")[0]).fn).parameters)
            for name, identity in self.ids.items()
        }
        async with get_client() as client:
            await forget_missed(client, self.ids.values())
            await adopt(client, self.home, takes, self.request["own_database"], self._note)
            await self.registered.clear(client, self.ids.values())

    async def _ready(self) -> None:
        self.say("ready", rows=await table(list(self.made.values())))

    def _note(self, line: str) -> None:
        self.say("note", line=line)

    async def _leave_out(self) -> None:
        """Of the times that pass while a run is going on, one waits, or none."""
        while True:
            await asyncio.sleep(POLL if self.own else SELDOM)
            scheduled = {self.ids[name]: each.schedule for name, each in self.made.items() if each.schedule}
            overlaps: dict[UUID, Overlap] = {identity: schedule.overlap for identity, schedule in scheduled.items()}
            with suppress(Exception):  # the server is busy or away: next time
                async with get_client() as client:
                    await leave_out_overlaps(client, overlaps)

    async def _watch(self) -> None:
        """Registers anew what has changed in the project's files."""
        fault = ""
        while True:
            await asyncio.sleep(LOOK)
            if not fault and _signatures(self.seen) == self.seen:
                continue
            try:
                await self._read_again()
                fault = ""
            except InputError as error:
                fault = ""
                self._note(f"{error}; what was read before holds")
            except Exception as error:  # the server is busy or away: the schedules that it has hold
                if fault != str(error):
                    fault = str(error) or type(error).__name__
                    self._note(f"{self.origin} has changed, and Prefect could not be told: {fault}; it is tried again")

    async def _read_again(self) -> None:
        project = self._read()
        made = self._made(project)
        changed = [name for name, each in made.items() if not each.same(self.made.get(name))]
        for name in changed:
            await self._register(made[name])
        gone = self.made.keys() - made.keys()
        async with get_client() as client:
            for name in gone & self.ids.keys():
                with suppress(ObjectNotFound):  # a person has removed it
                    await client.pause_deployment(self.ids[name])  # a run of it may be going on
        for field in ("port", "host", "data", "at_once"):
            if getattr(project, field) != getattr(self.project, field):
                self._note(f"{self.origin}: {field} has changed; it counts when `recurra up` is started again")
        self.project, self.made = project, made
        if changed or gone:
            self._note(f"{self.origin} has changed: {', '.join(sorted({*gone, *changed}))}")
            await self._ready()


def _signatures(files: Iterable[Path]) -> dict[Path, Signature]:
    """What tells whether a file was written."""
    return {path: _signature(path) for path in files}


def _signature(path: Path) -> Signature:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size
