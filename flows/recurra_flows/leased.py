"""A task's body with a lease: in a worker process of its own, which has the leased devices and sees no others."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from recurra.devices import Holder, Leases, Request
from recurra.devices.inventory import inventory
from recurra.environment import usable_cores
from recurra_flows.worker_process import Live, Stopped, holding

if TYPE_CHECKING:
    from recurra.experiment import Experiment

F = TypeVar("F", bound=Callable[..., Any])
Call = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


def starts_its_worker(body: F) -> F:
    """Marks a task's body that does its work through `run_worker`: it is called where it is, with the lease."""
    body.__starts_its_worker__ = True  # pyright: ignore[reportFunctionMemberAccess] - a mark
    return body


def asked(experiment: Experiment, devices: int | None = None) -> set[str]:
    """The tag by which a task asks for the devices of an experiment: so many, or `train.devices`; or a CPU slot."""
    return {"cpu"} if experiment.device == "cpu" else {f"gpu:{devices or experiment.train.devices}"}


def slots(experiment: Experiment) -> int:
    """How many units that is: CPU slots where the machine has no GPU."""
    return 1 if experiment.device == "cpu" else experiment.train.devices


def room(experiment: Experiment) -> int:
    """For how many of its trainings there is room at once: one on each GPU; without GPUs, one on each core."""
    units = 0 if experiment.device == "cpu" else len(inventory().gpus)
    return max(1, (units or usable_cores()) // slots(experiment))


def share(experiment: Experiment, jobs: int) -> int:
    """Cores of each CPU slot where so many of its trainings go on at once."""
    return max(1, usable_cores() // (jobs * slots(experiment)))


def within(experiment: Experiment) -> Experiment:
    """The experiment for a worker: which GPU is `gpu:1` is the lease's choice, and the worker sees no other.

    One that this machine does not have stays, for the backend to refuse.
    """
    kind, _, number = experiment.device.partition(":")
    there = kind == "gpu" and number and int(number) < len(inventory().gpus)
    return experiment.model_copy(update={"device": "gpu"}) if there else experiment


@contextmanager
def leased(tags: Iterable[str], what: str, told: Callable[[str], None]) -> Iterator[None]:
    """Within the block, workers have the devices that the tags ask for. `told` is told of a long wait for them."""
    leases = Leases.of_this_machine()
    request = Request.of_tags(tags, leases.inventory)
    if request is None:
        yield
        return
    with leases.take(request, Holder(os.getpid(), what, "", time.time()), waiting=told) as lease, holding(lease):
        yield


def with_lease(body: Callable[..., Any], leases: Leases, request: Request, live: Live) -> Callable[..., Any]:
    """A task's body that waits for its lease and then runs `body` with it, in a process of its own.

    An async body is run to its end. Stopped where the flow run ends meanwhile; WorkerLostError where the process dies.
    """
    call: Call = _here if hasattr(body, "__starts_its_worker__") else _in_process

    @wraps(body)
    def leasing(*args: Any, **kwargs: Any) -> Any:
        try:
            lease = leases.take(request, _holder(), lambda: live.stopped, _tell)
            with lease, holding(lease, live):
                return call(body, args, kwargs)
        except Exception as error:
            if live.stopped:
                raise Stopped from error
            raise

    return leasing


def _here(body: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return body(*args, **kwargs)


def _in_process(body: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from recurra_flows.calling import call

    return call(body, args, kwargs)


def _holder() -> Holder:
    """The task run that asks."""
    from prefect.context import FlowRunContext, TaskRunContext

    of_task, of_flow = TaskRunContext.get(), FlowRunContext.get()
    flow_run = of_flow.flow_run if of_flow else None
    return Holder(os.getpid(), of_task.task_run.name if of_task else "", flow_run.name if flow_run else "", time.time())


def _tell(line: str) -> None:
    """Says that the task run waits: in Prefect's log, and where the run is watched."""
    from prefect import get_run_logger

    from recurra_flows.watching import current

    watch = current()
    if watch is None or not watch.logged:
        get_run_logger().info(line)
    if watch is not None:
        watch.progress.note(line)
