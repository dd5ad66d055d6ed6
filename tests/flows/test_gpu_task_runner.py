"""The task runner in flows of somebody else's, on pretended GPUs."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest

from recurra.devices import Holder, Leases, Request
from recurra.errors import InputError

prefect = pytest.importorskip("prefect")
from prefect import flow, get_client, get_run_logger, task  # noqa: E402
from prefect.cache_policies import INPUTS, TASK_SOURCE  # noqa: E402
from prefect.client.schemas.objects import State  # noqa: E402
from prefect.states import Cancelling  # noqa: E402
from prefect.task_runners import TaskRunner  # noqa: E402

from recurra_flows.gpu_task_runner import GpuTaskRunner, gpu_task_runner  # noqa: E402
from recurra_flows.stopping import CancelledRun  # noqa: E402
from recurra_flows.workers import WorkerLostError  # noqa: E402

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_api", "place")]
Flow = Callable[[Callable[[], Any]], Any]


@pytest.fixture(autouse=True)
def four(monkeypatch: pytest.MonkeyPatch, place: Path) -> Leases:
    """Four pretended GPUs, all free."""
    monkeypatch.setenv("RECURRA_DEVICES", "pretend:4")
    return Leases.of_this_machine()


def _run(body: Callable[[], Any], runner: TaskRunner[Any] | None = None) -> Any:
    """What a flow of that body returns."""
    return flow(body, name="somebody's", task_runner=runner or gpu_task_runner(), persist_result=False)()


def _taken(leases: Leases) -> list[str]:
    return [each.unit for each in leases.holdings() if each.holder]


@task
def _surroundings() -> dict[str, str]:
    return {"pid": str(os.getpid()), "prefect": str("prefect" in sys.modules), **os.environ}


@task
def _sleep_for_ever(told: Path) -> None:
    told.write_text(str(os.getpid()))
    time.sleep(600)


def _pid_in(told: Path) -> int:
    while not told.exists() or not told.read_text():
        time.sleep(0.02)
    return int(told.read_text())


def test_each_task_has_its_gpus_to_itself_and_nothing_is_imported_for_it() -> None:
    def body() -> list[dict[str, str]]:
        wanted = [_surroundings.with_options(tags=[f"gpu:{count}"]).submit() for count in (1, 2, 1)]
        return [future.result() for future in wanted]

    seen = _run(body)
    devices = [each["CUDA_VISIBLE_DEVICES"].split(",") for each in seen]
    assert [len(each) for each in devices] == [1, 2, 1]
    assert len({each["pid"] for each in seen} | {str(os.getpid())}) == 4
    assert {each["prefect"] for each in seen} == {"False"}


def test_without_gpus_a_task_has_a_slot_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_DEVICES", "none")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    seen = _run(lambda: _surroundings.with_options(tags=["gpu:1"]).submit().result(), gpu_task_runner(cores=1))
    assert seen["CUDA_VISIBLE_DEVICES"] == ""
    assert seen["OMP_NUM_THREADS"] == "1"


def test_a_task_that_asks_for_nothing_runs_as_in_prefects_own_runner(four: Leases) -> None:
    seen = _run(lambda: _surroundings.submit().result())
    assert seen["pid"] == str(os.getpid())


def test_a_tag_around_a_task_asks_too() -> None:
    def body() -> dict[str, str]:
        with prefect.tags("gpu:3", "nightly"):
            return _surroundings.submit().result()

    assert _run(body)["CUDA_VISIBLE_DEVICES"].count(",") == 2


@task
async def _later(value: int) -> int:
    await asyncio.sleep(0)
    return value + 1


def test_an_async_function_is_run_to_its_end() -> None:
    assert _run(lambda: _later.with_options(tags=["gpu:1"]).submit(1).result()) == 2


def _one_by_one() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("asking", "said"),
    [
        (lambda: task(_one_by_one, tags=["gpu:1"]).submit(), "_one_by_one: a generator"),
        (lambda: _surroundings.with_options(tags=["gpu:x"]).submit(), "gpu:x"),
        (lambda: _surroundings.with_options(tags=["gpu:5"]).submit().result(), "5 GPUs asked for"),
        (
            lambda: _later.with_options(tags=["gpu:1"]).submit(threading.Lock()).result(),
            "_later: an argument cannot be sent",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(asking: Callable[[], Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        _run(asking)


class _OddError(ValueError):
    def __init__(self, field: str, row: int) -> None:
        super().__init__(f"{field} {row}")
        self.field, self.row = field, row

    def __reduce__(self) -> tuple[type[_OddError], tuple[str, int]]:
        return _OddError, (self.field, self.row)


@task
def _fails() -> None:
    raise _OddError("label", 7)


def test_what_a_function_raises_is_raised_as_it_is_with_its_own_traceback() -> None:
    with pytest.raises(_OddError) as raised:
        _run(lambda: _fails.with_options(tags=["gpu:1"]).submit().result())
    assert raised.value.row == 7
    assert "in _fails" in raised.value.__notes__[0]


@task
def _talks() -> None:
    print("printed", 1)
    logging.getLogger("somebody").warning("logged %s", 2)
    get_run_logger().info("told %s", 3)


@pytest.fixture
def told() -> Iterator[list[logging.LogRecord]]:
    """What is logged for task runs."""
    records, logger = list[logging.LogRecord](), logging.getLogger("prefect.task_runs")
    handler = logging.Handler()
    handler.emit = records.append
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


def test_what_a_function_logs_and_prints_comes_to_its_task_runs_log(told: list[logging.LogRecord]) -> None:
    _run(lambda: _talks.with_options(tags=["gpu:1"], log_prints=True, task_run_name="talker").submit().result())
    lines = [(record.getMessage().strip(), record.__dict__["task_run_name"]) for record in told]
    assert {("printed 1", "talker"), ("logged 2", "talker"), ("told 3", "talker")} <= set(lines)
    assert len(lines) == len(set(lines))


@task
def _dies_once(mark: Path) -> str:
    if mark.exists():
        return "done"
    mark.touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


def test_a_worker_that_is_killed_is_tried_again_by_prefect_and_its_states_say_so(four: Leases, place: Path) -> None:
    def body() -> tuple[str, UUID]:
        dying = _dies_once.with_options(tags=["gpu:4"], retries=1, retry_delay_seconds=0.1, persist_result=False)
        future = dying.submit(place / "died")
        return future.result(), future.task_run_id

    answer, task_run = _run(body)
    assert answer == "done"
    assert _states(task_run, "Completed") == ["Pending", "Running", "AwaitingRetry", "Retrying", "Completed"]
    assert _taken(four) == []


def test_a_worker_that_dies_is_lost_in_one_line(four: Leases, place: Path) -> None:
    with pytest.raises(WorkerLostError, match="_dies_once: the worker process was ended by SIGKILL"):
        _run(lambda: _dies_once.with_options(tags=["gpu:1"], persist_result=False).submit(place / "died").result())
    assert _taken(four) == []


def _states(task_run: UUID, last: str) -> list[str]:
    """The names of a task run's states, once the server has heard of the last; Prefect tells it beside the run."""
    for _ in range(600):
        with get_client(sync_client=True) as client:
            states: list[State[Any]] = client.read_task_run_states(task_run)
        names = [str(state.name) for state in sorted(states, key=lambda state: state.timestamp)]
        if names[-1:] == [last]:
            return names
        time.sleep(0.1)
    raise AssertionError(names)


def test_a_cache_hit_takes_no_device(four: Leases, place: Path) -> None:
    def body() -> list[str]:
        cached = _surroundings.with_options(tags=["gpu:4"], cache_policy=INPUTS + TASK_SOURCE)
        first = cached.submit().result()
        with four.take(Request(gpus=4), Holder(os.getpid(), "the test", "", time.time())):
            return [first["pid"], cached.submit().result()["pid"]]

    first, second = _run(body)
    assert first == second


def test_a_wait_for_devices_is_told_with_who_has_them(four: Leases, told: list[logging.LogRecord]) -> None:
    def body() -> Any:
        with four.take(Request(gpus=4), Holder(os.getpid(), "somebody else", "", time.time())):
            waiting = _surroundings.with_options(tags=["gpu:1"]).submit()
            while not any("somebody else" in record.getMessage() for record in told):
                time.sleep(0.05)
        return waiting.result()

    assert _run(body)["CUDA_VISIBLE_DEVICES"].startswith("pretend-")


def test_a_flow_that_fails_ends_its_workers_and_waits_for_no_device(four: Leases, place: Path) -> None:
    futures = list[Any]()

    def body() -> None:
        sleeping = _sleep_for_ever.with_options(tags=["gpu:4"], retries=3)
        futures.extend(sleeping.submit(place / name) for name in ("one", "two"))
        while not list(place.glob("one")) + list(place.glob("two")):
            time.sleep(0.02)
        raise RuntimeError("oh")

    with pytest.raises(RuntimeError, match="oh"):
        _run(body)
    [started] = [path for path in (place / "one", place / "two") if path.exists()]
    assert not psutil.pid_exists(_pid_in(started))
    assert {_states(future.task_run_id, "Crashed")[-1] for future in futures} == {"Crashed"}
    assert _taken(four) == []


def test_a_cancel_from_the_dashboard_ends_the_flow_and_its_workers(four: Leases, place: Path) -> None:
    flow_runs = list[UUID]()

    def body() -> None:
        context = prefect.context.FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        flow_runs.append(context.flow_run.id)
        sleeping = _sleep_for_ever.with_options(tags=["gpu:1"]).submit(place / "told")
        _pid_in(place / "told")
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(flow_runs[0], Cancelling())
        sleeping.result()

    with pytest.raises(CancelledRun):
        _run(body)
    assert not psutil.pid_exists(_pid_in(place / "told"))
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(flow_runs[0]).state
    assert state is not None
    assert state.is_cancelled()
    assert _taken(four) == []


def test_what_a_worker_has_started_ends_with_it(place: Path) -> None:
    def parent(told: Path) -> None:
        import subprocess

        told.write_text(str(subprocess.Popen(["sleep", "600"]).pid))

    _run(lambda: task(parent, tags=["gpu:1"]).submit(place / "told").result())
    left = _pid_in(place / "told")
    assert not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE


def test_a_worker_that_dies_is_lost_though_a_forked_child_lives(place: Path) -> None:
    def forking(told: Path) -> None:
        import os
        import signal
        import time

        child = os.fork()
        if not child:
            time.sleep(600)
        told.write_text(str(child))
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(WorkerLostError, match="SIGKILL"):
        _run(lambda: task(forking, tags=["gpu:1"]).submit(place / "told").result())
    left = _pid_in(place / "told")
    assert not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE


def test_what_is_printed_last_is_not_lost(place: Path) -> None:
    def printing() -> None:
        import sys

        sys.stdout = (place / "told").open("w")
        sys.stdout.write("the end")

    _run(lambda: task(printing, tags=["gpu:1"]).submit().result())
    assert (place / "told").read_text() == "the end"


def test_a_copy_has_the_same_settings() -> None:
    runner = GpuTaskRunner(max_workers=3, cores=2)
    assert runner.duplicate() == runner
    assert runner.duplicate() != GpuTaskRunner(max_workers=3, cores=1)


def test_many_tasks_of_two_flows_share_no_device_while_workers_are_killed(place: Path, prefect_api: str) -> None:
    environment = {"PREFECT_API_URL": prefect_api, "PREFECT_LOGGING_LEVEL": "ERROR"}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        for name, value in environment.items():
            patch.setenv(name, value)
        import stress_leases

        assert stress_leases.run(place, tasks=24, kills=4) == []
