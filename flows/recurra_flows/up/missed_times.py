"""Times of a schedule that passed without their run: while nothing was up, or while another run was going on.

Those of a time when nothing was up would all run at once, and where a run takes longer than the time to the next one
they would become ever more. What a person asked for stays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Pending

from recurra_flows.project import Overlap

PAGE = 200
UNDERWAY = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


async def forget_missed(client: PrefectClient, deployments: Collection[UUID]) -> None:
    """Removes the runs whose time passed while nothing was up. For who runs these deployments, before it does."""
    while due := await _due(client, deployments):
        for flow_run in due:
            with suppress(ObjectNotFound):
                await client.delete_flow_run(flow_run.id)


async def leave_out_overlaps(client: PrefectClient, deployments: Mapping[UUID, Overlap]) -> None:
    """Of the times that passed while a run of the deployment is going on, one waits (`queue`), or none (`refuse`).

    Prefect refuses a run when it is about to start, and a Runner that is busy does not come to that.
    """
    due = await _due(client, deployments)
    if not due:  # nearly always
        return
    busy = await _busy(client, {each.deployment_id for each in due if each.deployment_id})
    for deployment, overlap in deployments.items():
        of = [each for each in due if each.deployment_id == deployment]
        if overlap == "queue":
            for flow_run in of[1:]:
                await _withdraw(client, flow_run, forget=True)
        elif deployment in busy:
            for flow_run in of:
                await _withdraw(client, flow_run, forget=False)


async def _withdraw(client: PrefectClient, flow_run: FlowRun, forget: bool) -> None:
    """Cancels or removes a run that nobody has begun; one that the Runner takes at this moment goes on."""
    with suppress(ObjectNotFound):
        # Prefect gives a run to one alone: who sets it Pending has it.
        answer = await client.set_flow_run_state(flow_run.id, Pending())
        if answer.status == SetStateStatus.ACCEPT:  # the other run has ended just now
            await client.set_flow_run_state(flow_run.id, Cancelled(message="Another run was going on at its time."))
        elif answer.state is None or not (answer.state.is_scheduled() or answer.state.is_cancelled()):
            return  # somebody else has it
        if forget:
            await client.delete_flow_run(flow_run.id)


async def _due(client: PrefectClient, deployments: Collection[UUID]) -> list[FlowRun]:
    """The planned runs whose time has passed and that nobody has begun, the first one first; a page of them."""
    wanted = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        expected_start_time=FlowRunFilterExpectedStartTime.model_validate({"before_": datetime.now(UTC)}),
    )
    found = await client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=list(deployments))),
        flow_run_filter=wanted,
        limit=PAGE,
        sort=FlowRunSort.EXPECTED_START_TIME_ASC,
    )
    return [each for each in found if each.auto_scheduled and each.run_count == 0]


async def _busy(client: PrefectClient, deployments: Collection[UUID]) -> set[UUID]:
    """Those of the deployments that have a run that is going on."""
    found = await client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=list(deployments))),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNDERWAY))),
        limit=PAGE,
    )
    return {each.deployment_id for each in found if each.deployment_id}
