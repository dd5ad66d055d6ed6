"""Where the work of several trainings is done: on this machine, or on a cluster."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from recurra.errors import InputError
from recurra.experiment import Experiment
from recurra.home import Home

if TYPE_CHECKING:
    from prefect.task_runners import TaskRunner


class Machines(Protocol):
    """What does the work."""

    def room(self, experiment: Experiment) -> int:
        """For how many of its trainings there is room at once."""
        ...

    def task_runner(self, experiment: Experiment, jobs: int | None) -> TaskRunner[Any]:
        """For a flow with so many of its trainings at once; None: one, with all that there is for it."""
        ...


class ThisMachine:
    """Worker processes here, with leases."""

    def room(self, experiment: Experiment) -> int:
        """One on each GPU; without GPUs, one on each core."""
        from recurra_flows.leased import room

        return room(experiment)

    def task_runner(self, experiment: Experiment, jobs: int | None) -> TaskRunner[Any]:
        """A GpuTaskRunner."""
        from recurra_flows.gpu_task_runner import gpu_task_runner
        from recurra_flows.leased import share

        return gpu_task_runner(cores=None if jobs is None else share(experiment, jobs))


@dataclass(frozen=True)
class Wanted:
    """Which machines somebody asked for."""

    runner: Literal["local", "ray"] = "local"
    address: str | None = None
    shared: str | None = None

    @property
    def options(self) -> str:
        """As they are typed, each with a space before it; without a password that is in a URL."""
        if self.runner == "local":
            return ""
        from recurra_flows.ray.exchange import Exchange

        shared = Exchange(self.shared).shown if self.shared else None
        given = {"--runner": self.runner, "--address": self.address, "--shared": shared}
        return "".join(f" {option} {shlex.quote(value)}" for option, value in given.items() if value)

    def check(self) -> None:
        """An InputError where an option is wrong or has no meaning beside the others; of a cluster, raises where nobody
        answers.
        """
        for option, value in (("--address", self.address), ("--shared", self.shared)):
            if value is not None and self.runner == "local":
                raise InputError(f"{option} {value}: it is for a cluster; add `--runner ray`")
        if self.runner == "ray":
            from recurra_flows.ray.connection import checked
            from recurra_flows.ray.exchange import Exchange

            if self.shared:
                Exchange(self.shared).open()
            checked(self.address)

    @contextmanager
    def machines(self, home: Home, backends: Iterable[str], told: Callable[[str], None]) -> Iterator[Machines]:
        """The machines, found fit for these backends; a cluster is connected to within the block. `told` is told of a
        long wait for it.
        """
        if self.runner == "local":
            yield ThisMachine()
            return
        from recurra_flows.ray.cluster import on_cluster

        with on_cluster(self.address, self.shared, home, backends, told) as cluster:
            yield cluster
