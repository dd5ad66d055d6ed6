"""Times of a schedule that pass without their run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.states import Pending, Running, Scheduled

from recurra_flows.deploying import Deployment
from recurra_flows.project import Schedule
from recurra_flows.up.missed_times import forget_missed, leave_out_overlaps

pytestmark = pytest.mark.prefect
Body = Callable[[PrefectClient, Any], Awaitable[None]]


@pytest.fixture
def with_a_schedule(prefect_api: str, place: Path) -> Callable[[str, Body], None]:
    """Runs a test with a client, and a deployment of `maintain` once a minute, with that overlap."""
    from recurra_flows import deployed

    def run(overlap: str, body: Body) -> None:
        schedule = Schedule.model_validate({"flow": "maintain", "every": "1m", "overlap": overlap})
        deployment = Deployment.of(deployed.maintain, f"{place.name}-{overlap}", schedule, {})

        async def with_client() -> None:
            async with get_client() as client:
                await body(client, await deployment.aapply())

        asyncio.run(with_client())

    return run


async def _missed(client: PrefectClient, deployment: Any, times: int) -> list[Any]:
    """So many runs that were planned and whose time has passed, the first one first."""
    start, end = datetime.now(UTC) - timedelta(minutes=times), datetime.now(UTC)
    window = {"start_time": start.isoformat(), "end_time": end.isoformat(), "max_runs": times}
    await client.request("POST", "/deployments/{id}/schedule", path_params={"id": deployment}, json=window)
    return sorted(await _planned(client, deployment), key=lambda each: each.expected_start_time)


async def _planned(client: PrefectClient, deployment: Any) -> list[Any]:
    found: list[Any] = await client.read_flow_runs(limit=200)
    planned = [each for each in found if each.deployment_id == deployment and each.auto_scheduled]
    return [each for each in planned if each.expected_start_time < datetime.now(UTC)]


async def _states(client: PrefectClient, flow_runs: list[Any]) -> list[str | None]:
    return [(await client.read_flow_run(each.id)).state_name for each in flow_runs]


async def _going_on(client: PrefectClient, deployment: Any) -> Any:
    flow_run = await client.create_flow_run_from_deployment(deployment)
    await client.set_flow_run_state(flow_run.id, Pending())
    await client.set_flow_run_state(flow_run.id, Running())
    return flow_run


async def _slots(client: PrefectClient, deployment: Any) -> int:
    limit = (await client.read_deployment(deployment)).global_concurrency_limit
    assert limit is not None
    return (await client.read_global_concurrency_limit_by_name(limit.name)).active_slots


def test_times_of_when_nothing_was_up_are_not_made_up_for_and_what_a_person_asked_for_is(with_a_schedule: Any) -> None:
    async def body(client: PrefectClient, deployment: Any) -> None:
        past = Scheduled(scheduled_time=datetime.now(UTC) - timedelta(hours=1))
        asked = await client.create_flow_run_from_deployment(deployment, state=past)
        assert len(await _missed(client, deployment, 3)) == 3
        await forget_missed(client, [deployment])
        assert await _planned(client, deployment) == []
        assert await _states(client, [asked]) == ["Scheduled"]

    with_a_schedule("queue", body)


def test_one_of_the_times_that_pass_meanwhile_waits(with_a_schedule: Any) -> None:
    async def body(client: PrefectClient, deployment: Any) -> None:
        first, *_ = await _missed(client, deployment, 3)
        await leave_out_overlaps(client, {deployment: "queue"})
        assert [each.id for each in await _planned(client, deployment)] == [first.id]
        assert await _slots(client, deployment) == 0
        await _going_on(client, deployment)
        await _missed(client, deployment, 3)
        await leave_out_overlaps(client, {deployment: "queue"})
        assert [each.id for each in await _planned(client, deployment)] == [first.id]
        assert await _slots(client, deployment) == 1

    with_a_schedule("queue", body)


def test_where_overlap_is_refused_none_waits(with_a_schedule: Any) -> None:
    async def body(client: PrefectClient, deployment: Any) -> None:
        missed = await _missed(client, deployment, 2)
        await leave_out_overlaps(client, {deployment: "refuse"})
        assert await _states(client, missed) == ["Scheduled", "Scheduled"], "nothing is going on"
        await _going_on(client, deployment)
        await leave_out_overlaps(client, {deployment: "refuse"})
        assert await _states(client, missed) == ["Cancelled", "Cancelled"]
        assert await _slots(client, deployment) == 1

    with_a_schedule("refuse", body)


def test_one_that_is_begun_at_that_moment_goes_on(with_a_schedule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(client: PrefectClient, deployment: Any) -> None:
        first, second = await _missed(client, deployment, 2)
        claim = client.set_flow_run_state

        async def late(identity: Any, state: Any, **options: Any) -> Any:
            monkeypatch.undo()
            await claim(identity, Pending())  # the Runner was quicker
            return await claim(identity, state, **options)

        monkeypatch.setattr(client, "set_flow_run_state", late)
        await leave_out_overlaps(client, {deployment: "queue"})
        assert await _states(client, [first, second]) == ["Scheduled", "Pending"]

    with_a_schedule("queue", body)
