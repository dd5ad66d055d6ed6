"""A Prefect task runner that gives tasks GPUs: each runs in a process of its own, which has its GPUs to itself.

    @task(tags=["gpu:1"])
    def train(rate): ...

    @flow(task_runner=GpuTaskRunner())
    def search():
        losses = [train.submit(rate) for rate in (0.1, 0.01, 0.001)]
        return min(loss.result() for loss in losses)

A task asks with a tag: `gpu:2` for two GPUs; on a machine without any, for two CPU slots, `cpu` for one CPU slot
anywhere. Tasks without such a tag run as in Prefect's own ThreadPoolTaskRunner.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import TYPE_CHECKING, Any, TypeVar

from prefect.context import FlowRunContext, TagsContext
from prefect.futures import PrefectConcurrentFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from recurra.devices import Leases, Request
from recurra.errors import InputError
from recurra_flows.leased import with_lease
from recurra_flows.stopping import Cancellation
from recurra_flows.worker_process import Live

if TYPE_CHECKING:
    from prefect import Task
    from prefect.client.schemas.objects import FlowRun, RunInput
    from prefect.futures import PrefectFuture

R = TypeVar("R")


class GpuTaskRunner(ThreadPoolTaskRunner[R]):
    """Runs tasks that name devices in their tags in processes of their own, with leases that all of the machine's
    processes respect; other tasks in threads.

    Parameters
    ----------
    max_workers
        Tasks at once, those that wait for devices among them; left out: as many as there are.
    cores
        Cores of a CPU slot; left out: the machine's, divided by the slots that a task asks for.
    """

    def __init__(self, max_workers: int | None = None, cores: int | None = None) -> None:
        super().__init__(max_workers)
        self.cores = cores
        self._live: Live | None = None
        self._leases: Leases | None = None
        self._flow_run: FlowRun | None = None
        self._cancellation: Cancellation | None = None

    def duplicate(self) -> GpuTaskRunner[R]:
        """A new runner with the same settings."""
        return type(self)(max_workers=self._max_workers, cores=self.cores)

    def submit(
        self,
        task: Task[..., Any],
        parameters: dict[str, Any],
        wait_for: Iterable[PrefectFuture[Any]] | None = None,
        dependencies: dict[str, set[RunInput]] | None = None,
    ) -> PrefectConcurrentFuture[Any]:
        """The future of a task run. InputError for one that asks for devices by a malformed tag or is a generator."""
        self.heed_cancellation()
        return super().submit(self._leased(task), parameters, wait_for, dependencies)

    def heed_cancellation(self) -> None:
        """From now on a cancel from the dashboard ends the flow run. The first `submit` does this too."""
        context = FlowRunContext.get()
        if self._flow_run is None and self._live is not None and context is not None and context.flow_run is not None:
            self._flow_run = context.flow_run
            if self._flow_run.deployment_id is None:  # of a deployment's, Prefect's own worker takes care
                self._cancellation = Cancellation(self._flow_run, self._live.stop)

    def _leased(self, task: Task[..., Any]) -> Task[..., Any]:
        """The task, with a body that waits for a lease; as it is where it asks for none."""
        if self._live is None:
            return task  # not started: Prefect says so
        leases = self._leases = self._leases or Leases.of_this_machine()
        # A task's own tags first: those around it may be a name that happens to be `cpu`.
        request = self._request(leases, task.tags) or self._request(leases, TagsContext.get().current_tags)
        if request is None:
            return task
        if task.isgenerator:
            raise InputError(f"task {task.name}: a generator cannot run in a process of its own; let it return a list")
        # Prefect calls `fn` on a cache miss alone, in the thread, each time that it tries the task.
        leased = copy(task)
        leased.fn, leased.isasync = with_lease(task.fn, leases, request, self._live), False
        return leased

    def _request(self, leases: Leases, tags: Iterable[str]) -> Request | None:
        return Request.of_tags(tags, leases.inventory, self.cores)

    def __enter__(self) -> GpuTaskRunner[R]:
        super().__enter__()
        self._live = Live()
        return self

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        """Waits for what runs, as Prefect's own does; where the flow did not end well, ends it at once."""
        assert self._live is not None
        live, cancellation = self._live, self._cancellation
        try:
            if cancellation is not None:
                cancellation.close()
            if exc_type is not None or self._failed():
                live.stop()
            super().__exit__(exc_type, exc_value, traceback)
        except BaseException as error:  # Ctrl-C while it waits, or the interrupt that `close` let through
            live.stop()
            if cancellation is None or not cancellation.heard:
                raise
            exc_value = error
        finally:
            self._live = self._leases = self._flow_run = self._cancellation = None
        if cancellation is not None and cancellation.heard:
            raise cancellation.confirm() from exc_value

    def _failed(self) -> bool:
        """Whether the flow run is over, and not well. A failure that Prefect caught is told by the state alone."""
        state = self._flow_run.state if self._flow_run else None
        return state is not None and not state.is_completed()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GpuTaskRunner) and super().__eq__(other) and self.cores == other.cores

    __hash__ = None  # pyright: ignore[reportAssignmentType] - as of every task runner


def gpu_task_runner(cores: int | None = None) -> TaskRunner[Any]:
    """A GpuTaskRunner for `@flow(task_runner=...)`, whose type a type checker accepts there."""
    return GpuTaskRunner(cores=cores)


def heed_cancellation() -> None:
    """From now on a cancel from the dashboard ends the flow run that is here, where its task runner can do that."""
    context = FlowRunContext.get()
    if context is not None and isinstance(context.task_runner, GpuTaskRunner):
        context.task_runner.heed_cancellation()


def share_cores(cores: int) -> None:
    """From now on a CPU slot of the flow run that is here has so many cores, where its task runner has a say in it."""
    context = FlowRunContext.get()
    if context is not None and isinstance(context.task_runner, GpuTaskRunner):
        context.task_runner.cores = cores
