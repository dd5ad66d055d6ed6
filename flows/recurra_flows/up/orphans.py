"""Flow runs that a crash left behind: they are ended in Prefect, and what they were doing goes on in a new one.

A machine that loses its power, or a process that is killed, tells nobody: Prefect says `Running` for ever, and the slot
of the deployment's limit stays taken. Whoever holds up.lock knows that nothing of this home runs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Cancelled, Crashed

from recurra.errors import InputError
from recurra.home import Home
from recurra.run import Run, run_folders
from recurra_flows.lifeline import GRACE, LOOK
from recurra_flows.refusals import reason

TAG = "resumed"
MOST = 3
"""A run that died this often after it was resumed is left: it may be what kills the machine."""
PAGE = 200
UNDERWAY = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


@dataclass(frozen=True)
class Orphan:
    """A flow run that nothing runs."""

    flow_run: FlowRun
    run: Run | None
    """Its record, where it got so far."""

    @property
    def name(self) -> str:
        """The run's, where it has one."""
        return self.run.id if self.run else f"flow run {self.flow_run.name}"

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return f"`recurra resume {self.run.id}` goes on with it" if self.run else "it is not started again"


async def adopt(
    client: PrefectClient,
    home: Home,
    deployments: Mapping[UUID, Collection[str]],
    own: bool,
    note: Callable[[str], None],
) -> None:
    """Ends every orphan, and starts what it was doing again where one of these deployments had it.

    `deployments`: the names of the parameters of each, by id. In a database of our own (`own`) every flow run of a
    deployment is ours; in another those are that a record of this home names. `note` is told of each. For who holds
    up.lock, before anything runs. One that Prefect refuses to start again is told, and left.
    """
    for orphan in await _orphans(client, home, own):
        await _end(client, orphan.flow_run)
        try:
            note(await _again(client, orphan, deployments))
        except PrefectHTTPStatusError as error:
            if error.response.status_code < 500:  # no better next time
                _close(orphan.run)
            note(f"{orphan.name} was killed, and Prefect refused to start it again: {reason(error)}; {orphan.remedy}")


async def _orphans(client: PrefectClient, home: Home, own: bool) -> list[Orphan]:
    records = {run.record["flow_run"]: run for run in _recorded(home)}
    await _let_go(client, records)
    found: dict[UUID, Orphan] = {}
    for flow_run in await _underway(client) if own else ():
        run = records.get(str(flow_run.id))
        # A run that is held lives, in whatever process. `recurra run` may go on without a deployment.
        if flow_run.deployment_id is not None if run is None else not run.running:
            found[flow_run.id] = Orphan(flow_run, run)
    for name, run in records.items():
        flow_run = await _read(client, name) if run.record["status"] == "running" and not run.running else None
        # One that Prefect saw die is an orphan too: who was stopped in good order does not leave `running`.
        if flow_run is not None and flow_run.deployment_id is not None:
            found.setdefault(flow_run.id, Orphan(flow_run, run))
    return list(found.values())


async def _let_go(client: PrefectClient, records: Mapping[str, Run]) -> None:
    """Waits for runs of deployments whose processes are about to end with a `recurra up` that was just killed."""
    held: list[Run] = []
    for name, run in records.items():
        flow_run = await _read(client, name) if run.record["status"] == "running" and run.running else None
        held += [run] if flow_run is not None and flow_run.deployment_id is not None else []
    end = time.monotonic() + GRACE + LOOK
    while any(run.running for run in held) and time.monotonic() < end:
        await asyncio.sleep(0.2)


def _recorded(home: Home) -> Iterator[Run]:
    """The runs of the home that a flow run has or had, the oldest first."""
    for folder in run_folders(home):
        with suppress(InputError):
            run = Run.open(home, str(folder))
            if run.record.get("flow_run"):
                yield run


async def _read(client: PrefectClient, flow_run: str) -> FlowRun | None:
    with suppress(ObjectNotFound, ValueError):  # of another server, or removed
        return await client.read_flow_run(UUID(flow_run))
    return None


async def _underway(client: PrefectClient) -> list[FlowRun]:
    """The flow runs that Prefect says are going on."""
    wanted = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNDERWAY)))
    found: list[FlowRun] = []
    while True:
        page = await client.read_flow_runs(
            flow_run_filter=wanted, limit=PAGE, offset=len(found), sort=FlowRunSort.ID_DESC
        )
        found += page
        if len(page) < PAGE:
            return found


async def _end(client: PrefectClient, flow_run: FlowRun) -> None:
    """Sets it Crashed, or Cancelled where that was asked for; Prefect then frees the slot that it held."""
    state = flow_run.state
    if state is None or state.is_final():
        return
    if state.is_cancelling():
        ended = Cancelled(message="It was being cancelled when its process was killed or the machine stopped.")
    else:
        ended = Crashed(message="Its process was killed or the machine stopped; nothing runs it any more.")
    await client.set_flow_run_state(flow_run.id, ended, force=True)


async def _again(client: PrefectClient, orphan: Orphan, deployments: Mapping[UUID, Collection[str]]) -> str:
    """Starts a new flow run with the same parameters that goes on with the run; what was done, in a line."""
    old, run, what = orphan.flow_run, orphan.run, orphan.name
    if old.state is not None and old.state.is_cancelling():
        _close(run)
        return f"{what} was being cancelled when it was killed; it stays cancelled"
    takes = deployments.get(old.deployment_id) if old.deployment_id else None
    if takes is None:
        _close(run)
        return f"{what} was killed, and no deployment here has it; {orphan.remedy}"
    if await _resumed(client, old) >= MOST:
        _close(run)
        return f"{what} was killed {MOST + 1} times and is left; {orphan.remedy}"
    parameters = old.parameters | ({"resume": run.id} if run is not None and "resume" in takes else {})
    chain = next((tag for tag in old.tags if tag.startswith(f"{TAG}-")), f"{TAG}-{str(old.id)[:8]}")
    new = await client.create_flow_run_from_deployment(
        UUID(str(old.deployment_id)),
        parameters=parameters,
        tags=sorted({*old.tags, TAG, chain}),
        idempotency_key=f"{TAG}-{old.id}",  # killed once more before it has begun, it is not started twice
    )
    return f"{what} was killed; it goes on in the flow run {new.name}"


async def _resumed(client: PrefectClient, flow_run: FlowRun) -> int:
    """How often it was resumed before."""
    chain = [tag for tag in flow_run.tags if tag.startswith(f"{TAG}-")]
    if not chain:
        return 0
    filtered = FlowRunFilter(tags=FlowRunFilterTags(all_=chain))
    return len(await client.read_flow_runs(flow_run_filter=filtered, limit=PAGE))


def _close(run: Run | None) -> None:
    """A record that nobody goes on with says so, and is not looked at again."""
    if run is not None and run.record["status"] == "running":
        run.finish("stopped", error="its process was killed or the machine stopped")
