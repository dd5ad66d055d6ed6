"""A Ray cluster as a place to work: what it has, whether its nodes are fit for it, and how work gets there."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from recurra.errors import InputError, RecurraError
from recurra.experiment import Experiment
from recurra.home import Home
from recurra.progress import Progress, replay
from recurra.store import Store
from recurra_flows.ray.connection import connected
from recurra_flows.ray.errand import KINDS, Look, Order
from recurra_flows.ray.exchange import Exchange
from recurra_flows.ray.inspection import code, difference, facts
from recurra_flows.ray.nodes import Capacity, Node, nodes
from recurra_flows.worker_process import Live, Stopped
from recurra_flows.workers import WorkerLostError

if TYPE_CHECKING:
    from prefect.task_runners import TaskRunner

TRIES = 4
"""Nodes that one piece of work may lose."""
PATIENCE = 120.0
"""Seconds for a node to answer before anything runs there."""
TELL = (10.0, 60.0)
"""Seconds until it is said that work waits for a node, and between that and the next time."""


class Cluster:
    """A Ray cluster that this process is connected to."""

    def __init__(self, home: Home, backends: Sequence[str], shared: str | None) -> None:
        self.home, self.capacity = home, Capacity(nodes())
        self.exchange = Exchange(shared) if shared else None
        self.backends = list(backends)

    def room(self, experiment: Experiment) -> int:
        """For how many of its trainings there is room at once."""
        return self.capacity.room(experiment)

    def task_runner(self, experiment: Experiment, jobs: int | None) -> TaskRunner[Any]:
        """For a flow with so many of its trainings at once."""
        from recurra_flows.ray.ray_task_runner import RayTaskRunner

        return RayTaskRunner(self, self.capacity.share(experiment, jobs or 1))

    def check(self) -> None:
        """An InputError that names the node, unless each has the same code and reaches the artifacts."""
        import ray

        name, text = f".recurra-{uuid4().hex}", uuid4().hex
        folder = None if self.exchange else str(self.home.store.root)
        with self._laid(name, text):
            asked: dict[Any, Node] = {
                _on_node(node.id).remote(
                    self.backends, folder, self.exchange and self.exchange.url, name, text, f"{name}-{node.id}"
                ): node
                for node in self.capacity.nodes
            }
            answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=PATIENCE)
            problems = {asked[ref].name: "does not answer" for ref in silent}
            for ref in answered:
                if problem := self._problem(ref, f"{name}-{asked[ref].id}", text):
                    problems[asked[ref].name] = problem
        if problems:
            more = f" (and {len(problems) - 1} more nodes of {len(asked)})" if len(problems) > 1 else ""
            raise InputError("node {}: {}".format(*next(iter(problems.items()))) + more)

    def _problem(self, ref: Any, answer: str, text: str) -> str:
        import ray
        from ray.exceptions import RayError

        try:
            found: Any = ray.get(ref)
        except RayError as error:
            return " ".join(str(error).split())[-300:]
        if differing := difference(facts(self.backends) | code(self.backends), found["facts"]):
            return f"{differing}. All nodes need the same recurra and backends"
        reach = found["reach"] or self._unseen(answer, text)
        if reach and self.exchange:
            return f"--shared {self.exchange.url}: {reach}. Every node has to read and write it"
        if reach:
            return (
                f"{self.home.path}: {reach}. Every node has to read and write it under this name: set RECURRA_HOME to"
                " a folder that all have, or name another way to exchange artifacts by --shared (docs/clusters.md)"
            )
        return ""

    def _unseen(self, answer: str, text: str) -> str:
        if self.exchange:
            return ""
        there = self.home.store.root / answer
        return "" if there.is_file() and there.read_text() == text else "what it writes there is not seen here"

    @contextmanager
    def _laid(self, name: str, text: str) -> Iterator[None]:
        """Within the block a small file lies where artifacts are exchanged; what was laid beside it goes with it."""
        nodes = self.capacity.nodes
        if self.exchange is None:
            root = self.home.store.root
            root.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
            try:
                yield
            finally:
                for each in (name, *(f"{name}-{node.id}" for node in nodes)):
                    (root / each).unlink(missing_ok=True)
            return
        try:
            self.exchange.write(name, text)
        except RecurraError:
            raise
        except Exception as error:
            what = " ".join(str(error).split())[:300]
            raise InputError(f"--shared {self.exchange.url}: {type(error).__name__}: {what}") from error
        try:
            yield
        finally:
            for each in (name, *(f"{name}-{node.id}" for node in nodes)):
                with suppress(Exception):
                    self.exchange.remove(each)

    def worker(self, options: Mapping[str, Any], live: Live) -> Callable[..., Any]:
        """A stand-in for `run_worker` that does the same on a node with what `options` ask Ray for."""
        return lambda *order: _Work(self, options, live).done(*order)

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
        store = Store(Path(request["store"]))
        if self.exchange and store.find(made["stage"], made["key"]) is None:
            self.exchange.pull(store, made["stage"], made["key"], made["digest"], name)
        return made


class _Work:
    """One piece of work: on a node, and where that is lost, on the next."""

    def __init__(self, cluster: Cluster, options: Mapping[str, Any], live: Live) -> None:
        self.cluster, self.options, self.live = cluster, options, live

    def done(self, body: str, request: Mapping[str, Any], progress: Progress, log: Path | None) -> Any:
        """As `run_worker`."""
        from ray.exceptions import RayActorError, RayError

        order = self.cluster.order(body, request, self.options)
        for _ in range(TRIES):
            try:
                answer = self._errand(order, progress, log)
            except RayActorError as error:
                progress.end()
                reason = " ".join(str(error).split())
                progress.note(f"{body}: its node was lost; it goes on with another ({_cause(reason)})")
                continue
            except (RayError, ConnectionError) as error:
                raise WorkerLostError(f"{body}: the Ray cluster: {' '.join(str(error).split())[:300]}") from error
            if "value" in answer:
                return self.cluster.received(answer["value"], request, order.name)
            raise _raised(answer, log)
        raise WorkerLostError(f"{body}: {TRIES} nodes were lost, one after the other")

    def _errand(self, order: Order, progress: Progress, log: Path | None) -> dict[str, Any]:
        """What came of it on one node."""
        import ray

        from recurra_flows.ray.errand import Errand

        errand: Any = ray.remote(**self.options, max_restarts=0)(Errand).remote()
        try:
            self._patiently(errand.begin.remote(order), progress)
            while True:
                look: Look = self._get(errand.look.remote())
                for event in look.events:
                    replay(json.loads(event), progress)
                if look.printed and log is not None:
                    with log.open("ab") as file:
                        file.write(look.printed)
                if look.answer is not None:
                    return look.answer
        finally:
            progress.end()
            with suppress(Exception):
                ray.kill(errand)

    def _patiently(self, ref: Any, progress: Progress) -> None:
        import ray

        start, told = time.monotonic(), TELL[0]
        while not ray.wait([ref], timeout=0.5)[0]:
            self._heed()
            if time.monotonic() - start > told:
                told += TELL[1]
                progress.note(f"waits for {_words(self.options)} of the cluster")
        ray.get(ref)

    def _get(self, ref: Any) -> Any:
        import ray

        while not ray.wait([ref], timeout=0.5)[0]:
            self._heed()
        self._heed()
        return ray.get(ref)

    def _heed(self) -> None:
        if self.live.stopped:
            raise Stopped


def _on_node(node: str) -> Any:
    """The remote function that inspects the node, whatever it has installed."""
    import ray
    from ray import cloudpickle
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from recurra_flows.ray import inspection

    cloudpickle.register_pickle_by_value(inspection)
    there: Any = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(inspection.inspected)


def _cause(reason: str) -> str:
    """Ray's words for why."""
    found = re.search(r"because ([^.:]+)", reason)
    return found[1].strip() if found else reason[:100]


def _words(options: Mapping[str, Any]) -> str:
    count, what = (options["num_gpus"], "GPU") if options["num_gpus"] else (options["num_cpus"], "CPU")
    return f"{count} {what}{'s' * (count != 1)}"


def _raised(answer: Mapping[str, Any], log: Path | None) -> RecurraError:
    kind = KINDS[answer["kind"]]
    printed = f"; what it printed: {log}" if log and kind is WorkerLostError else ""
    error = kind(f"{answer['line']}{printed}")
    for note in answer["notes"]:
        error.add_note(note)
    return error


@contextmanager
def on_cluster(address: str | None, shared: str | None, home: Home, backends: Iterable[str]) -> Iterator[Cluster]:
    """The cluster at that address, its nodes found fit. Raises as `connected` and `Cluster.check` do."""
    with connected(address):
        cluster = Cluster(home, list(backends), shared)
        if not cluster.capacity.nodes:
            raise InputError("the Ray cluster has no node with a CPU or a GPU")
        cluster.check()
        yield cluster
