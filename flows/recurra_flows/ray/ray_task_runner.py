"""A Prefect task runner whose tasks work on the nodes of a Ray cluster, with what their tags ask for.

Prefect's engine stays in the flow's process, as with the GpuTaskRunner that this is one of: a task that is found in the
cache takes no node, the nodes need no Prefect server, and what a flow watches (progress, epochs) is here. What is sent
to a node is what a worker process is asked to do. For functions of your own there is prefect-ray's RayTaskRunner.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from prefect.context import TagsContext

from recurra.errors import InputError
from recurra_flows.gpu_task_runner import GpuTaskRunner
from recurra_flows.ray.cluster import Cluster
from recurra_flows.worker_process import Live, Stopped
from recurra_flows.workers import working_at

if TYPE_CHECKING:
    from prefect import Task

R = TypeVar("R")


class RayTaskRunner(GpuTaskRunner[R]):
    """Runs tasks that start their workers on the nodes of `cluster`, to which this process is connected.

    cores: CPUs of a CPU slot; left out: a node's, divided by the slots that a task asks for.
    """

    def __init__(self, cluster: Cluster, cores: int | None = None) -> None:
        super().__init__(cores=cores)
        self._cluster = cluster

    def duplicate(self) -> RayTaskRunner[R]:
        """A new runner with the same settings."""
        return type(self)(self._cluster, self.cores)

    def _options(self, task: Task[..., Any]) -> dict[str, Any] | None:
        of = self._cluster.capacity
        return of.options(task.tags, self.cores) or of.options(TagsContext.get().current_tags, self.cores)

    def _leased(self, task: Task[..., Any]) -> Task[..., Any]:
        """The task, with a body whose worker is on a node: Ray is the lease.

        InputError for one that asks for more than any node has, or that starts no worker.
        """
        options = self._options(task)
        if options is None or self._live is None:
            return task
        if not hasattr(task.fn, "__starts_its_worker__"):
            raise InputError(f"task {task.name}: recurra sends its own tasks to Ray alone; use prefect-ray for others")
        placed = copy(task)
        placed.fn = _placed(task.fn, self._cluster.worker(options, self._live), self._live)
        return placed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RayTaskRunner) and (self._cluster, self.cores) == (other._cluster, other.cores)

    __hash__ = None  # pyright: ignore[reportAssignmentType] - as of every task runner


def _placed(body: Callable[..., Any], worker: Callable[..., Any], live: Live) -> Callable[..., Any]:
    @wraps(body)
    def placed(*args: Any, **kwargs: Any) -> Any:
        try:
            with working_at(worker):
                return body(*args, **kwargs)
        except Exception as error:
            if live.stopped:
                raise Stopped from error
            raise

    return placed
