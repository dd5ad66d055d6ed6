"""What a crash left behind in Prefect is ended, and goes on in a new flow run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.states import Cancelling, Running

from recurra.config import load_experiment
from recurra.home import Home
from recurra.run import Run
from recurra_flows.deploying import Deployment
from recurra_flows.project import Schedule
from recurra_flows.up.orphans import MOST, adopt

pytestmark = pytest.mark.prefect


@pytest.fixture
def on_prefect(prefect_api: str, place: Path) -> Callable[[Callable[[PrefectClient, Any], Awaitable[None]]], None]:
    """Runs a test with a client, and a deployment of `run` with a limit of one."""
    from recurra_flows import deployed

    schedule = Schedule.model_validate({"flow": "run", "experiment": place / "e.yaml", "cron": "0 2 1 1 *"})
    parameters = {"experiment": load_experiment(place / "e.yaml", ["backend=torch"]).model_dump(mode="json")}
    deployment = Deployment.of(deployed.run, place.name, schedule, parameters)

    def run(body: Callable[[PrefectClient, Any], Awaitable[None]]) -> None:
        async def with_client() -> None:
            async with get_client() as client:
                await body(client, await deployment.aapply())

        asyncio.run(with_client())

    return run


def _record(flow_run: Any) -> Run:
    """As of a run whose process is gone."""
    run = Run.create(Home.default(), load_experiment(Path("e.yaml")))
    run.record["flow_run"] = str(flow_run.id)
    run.save()
    return run


async def _adopt(client: PrefectClient, deployment: Any, own: bool = False) -> list[str]:
    told: list[str] = []
    await adopt(client, Home.default(), {deployment: ["experiment", "resume"]}, own, told.append)
    return told


async def _of(client: PrefectClient, deployment: Any) -> list[Any]:
    return [each for each in await client.read_flow_runs(limit=200) if each.deployment_id == deployment]


async def _slots(client: PrefectClient, deployment: Any) -> int:
    limit = (await client.read_deployment(deployment)).global_concurrency_limit
    assert limit is not None
    return (await client.read_global_concurrency_limit_by_name(limit.name)).active_slots


async def _killed(client: PrefectClient, flow_run: Any) -> None:
    """It was begun as Prefect's runner does, and then nobody was there any more."""
    from prefect.states import Pending

    await client.set_flow_run_state(flow_run.id, Pending())
    await client.set_flow_run_state(flow_run.id, Running())


def test_a_run_whose_process_is_gone_goes_on_once_and_its_slot_is_free(on_prefect: Any) -> None:
    async def body(client: PrefectClient, deployment: Any) -> None:
        old = await client.create_flow_run_from_deployment(deployment)
        run = _record(old)
        await _killed(client, old)
        assert await _slots(client, deployment) == 1
        [line] = await _adopt(client, deployment)
        assert line.startswith(f"{run.id} was killed; it goes on in the flow run")
        assert (await client.read_flow_run(old.id)).state_name == "Crashed"
        assert await _slots(client, deployment) == 0
        await _adopt(client, deployment)  # the machine stopped once more, before it had begun
        [new] = [each for each in await _of(client, deployment) if "resumed" in each.tags]
        assert new.parameters == {**old.parameters, "resume": run.id}

    on_prefect(body)


def test_what_lives_is_left_alone_and_so_is_what_other_homes_have(on_prefect: Any) -> None:
    async def body(client: PrefectClient, deployment: Any) -> None:
        mine = await client.create_flow_run_from_deployment(deployment)
        await _killed(client, mine)
        run = _record(mine)
        with run.held():
            # Another FileLock than the one that is held here looks at it.
            assert Run.open(run.home, run.id).running
            assert await _adopt(client, deployment) == []
        run.finish("done")
        assert await _adopt(client, deployment) == []
        assert (await client.read_flow_run(mine.id)).state_name == "Running"

    on_prefect(body)


def test_what_was_being_cancelled_stays_cancelled(on_prefect: Any) -> None:
    async def body(client: PrefectClient, deployment: Any) -> None:
        old = await client.create_flow_run_from_deployment(deployment)
        run = _record(old)
        await _killed(client, old)
        await client.set_flow_run_state(old.id, Cancelling(), force=True)
        [line] = await _adopt(client, deployment)
        assert line.endswith("it stays cancelled")
        assert (await client.read_flow_run(old.id)).state_name == "Cancelled"
        assert (await _slots(client, deployment), len(await _of(client, deployment))) == (0, 1)
        assert Run.open(run.home, run.id).record["status"] == "stopped"

    on_prefect(body)


def test_what_dies_each_time_is_left_in_the_end(on_prefect: Any) -> None:
    async def body(client: PrefectClient, deployment: Any) -> None:
        flow_run = await client.create_flow_run_from_deployment(deployment)
        run = _record(flow_run)
        for _ in range(MOST):
            await _killed(client, flow_run)
            [line] = await _adopt(client, deployment)
            assert "it goes on" in line
            [flow_run] = [each for each in await _of(client, deployment) if each.state_name == "Scheduled"]
            run.record["flow_run"] = str(flow_run.id)
            run.save()
        await _killed(client, flow_run)
        [line] = await _adopt(client, deployment)
        assert f"and is left; `recurra resume {run.id}` goes on with it" in line
        assert await _adopt(client, deployment) == []

    on_prefect(body)


def test_one_that_prefect_refuses_to_start_again_is_told_and_the_others_go_on(on_prefect: Any) -> None:
    async def body(client: PrefectClient, deployment: Any) -> None:
        gone, other = [await client.create_flow_run_from_deployment(deployment) for _ in range(2)]
        refused, going_on = _record(gone), _record(other)
        await _killed(client, gone)
        await client.set_flow_run_state(other.id, Running(), force=True)
        # Of a backend that is not installed any more: the form has it no longer.
        parameters = gone.parameters["experiment"] | {"backend": "uninstalled"}
        await client.update_flow_run(gone.id, parameters={"experiment": parameters})
        told = await _adopt(client, deployment)
        assert len(told) == 2
        [line] = [each for each in told if each.startswith(f"{refused.id} ")]
        assert "Prefect refused to start it again: " in line
        assert "uninstalled" in line
        assert line.endswith(f"`recurra resume {refused.id}` goes on with it")
        assert Run.open(refused.home, refused.id).record["status"] == "stopped"
        assert any(f"{going_on.id} was killed; it goes on" in each for each in told)

    on_prefect(body)


def test_a_run_that_is_held_lives_also_where_the_database_is_our_own(
    on_prefect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recurra_flows.up.orphans.GRACE", 0)

    async def body(client: PrefectClient, deployment: Any) -> None:
        mine = await client.create_flow_run_from_deployment(deployment)
        await _killed(client, mine)
        with _record(mine).held():
            await _adopt(client, deployment, own=True)
        assert (await client.read_flow_run(mine.id)).state_name == "Running"

    on_prefect(body)
