"""A Ray cluster as a place to work: what it has, and how work and artifacts get there and back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.errors import InputError, RecurraError
from recurra.experiment import Experiment
from recurra.home import Home
from recurra.store import Store
from recurra_flows.ray.connection import connected
from recurra_flows.ray.errand import Order
from recurra_flows.ray.exchange import Exchange
from recurra_flows.ray.fitness import Fitness
from recurra_flows.ray.inspection import facts
from recurra_flows.ray.nodes import Capacity, nodes
from recurra_flows.ray.work import Work
from recurra_flows.worker_process import Live

if TYPE_CHECKING:
    from prefect.task_runners import TaskRunner

SEEN = 60.0
"""Seconds until a network file system shows here what a node has made: it may remember that it was not there."""


class Cluster:
    """A Ray cluster that this process is connected to."""

    def __init__(self, capacity: Capacity, exchange: Exchange | None) -> None:
        self.capacity, self.exchange = capacity, exchange

    def room(self, experiment: Experiment) -> int:
        """For how many of its trainings there is room at once."""
        return self.capacity.room(experiment)

    def task_runner(self, experiment: Experiment, jobs: int | None) -> TaskRunner[Any]:
        """For a flow with so many of its trainings at once."""
        from recurra_flows.ray.ray_task_runner import RayTaskRunner

        return RayTaskRunner(self, self.capacity.share(experiment, jobs or 1))

    def worker(self, options: Mapping[str, Any], live: Live) -> Callable[..., Any]:
        """A stand-in for `run_worker` that does the same on a node with what `options` ask Ray for."""
        return lambda *order: Work(self, options, live).done(*order)

    def order(self, body: str, request: Mapping[str, Any], options: Mapping[str, Any]) -> Order:
        """What a node is told. The artifacts that the work needs are in the exchange then."""
        experiment, store = dict(request["experiment"]), Store(Path(request["store"]))
        if experiment["device"].startswith("gpu:"):
            experiment["device"] = "gpu"  # which one is Ray's choice, and the worker sees no other
        digests = {}
        for name, (stage, key) in request["artifacts"].items():
            found = store.peek(stage, key)
            if found is None:
                raise RecurraError(f"the {name} artifact was removed from the store during the run; run again")
            digests[name] = found.digest
            if self.exchange:
                self.exchange.push(found)
        backend = experiment["backend"]
        return Order(
            body,
            {**request, "experiment": experiment},
            digests,
            self.exchange.url if self.exchange else None,
            options["num_cpus"],
            options["num_gpus"],
            facts([backend]),
            backend,
            experiment["name"],
        )

    def received(self, made: dict[str, Any], request: Mapping[str, Any], name: str) -> dict[str, Any]:
        """The node's answer, what it made in the store here."""
        store, stage, key = Store(Path(request["store"])), made["stage"], made["key"]
        if self.exchange is None:
            _awaited(store, stage, key)
        elif store.find(stage, key) is None:
            # The node knows why its own store lacked it; what was made here before tells more.
            why = "a node had it from before" if made["hit"] else store.explain(stage, made["inputs"])
            self.exchange.pull(store, stage, key, made["digest"], name)
            return {**made, "why": why}
        return made


def _awaited(store: Store, stage: str, key: str) -> None:
    """Returns once the artifact that a node has made is seen here; after SEEN seconds too, and who needs it says so."""
    end = time.monotonic() + SEEN
    while store.peek(stage, key) is None and time.monotonic() < end:
        with suppress(OSError):
            list((store.root / stage).iterdir())  # makes NFS look again
        time.sleep(0.5)


@contextmanager
def on_cluster(
    address: str | None, shared: str | None, home: Home, backends: Iterable[str], told: Callable[[str], None]
) -> Iterator[Cluster]:
    """The cluster at that address, its nodes found fit. Raises as `connected` and `Fitness.check` do."""
    with connected(address, told):
        capacity, exchange = Capacity(nodes()), Exchange(shared) if shared else None
        if not capacity.nodes:
            raise InputError("the Ray cluster has no node with a CPU or a GPU")
        Fitness(home, list(backends), exchange).check(capacity.nodes)
        yield Cluster(capacity, exchange)
