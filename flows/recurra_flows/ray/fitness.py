"""Whether the nodes of a cluster are fit: each has the same code, and reaches the artifacts."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from recurra.errors import InputError
from recurra.home import Home
from recurra_flows.ray.exchange import Exchange
from recurra_flows.ray.inspection import code, difference, facts
from recurra_flows.ray.nodes import Node
from recurra_flows.workers import WorkerHinderedError

PATIENCE = 120.0
"""Seconds for a node to answer before anything runs there."""


@dataclass(frozen=True)
class Fitness:
    """What nodes have to have: these backends, and the exchange, or else the home folder."""

    home: Home
    backends: Sequence[str]
    exchange: Exchange | None

    def check(self, nodes: Sequence[Node]) -> None:
        """An InputError that names the node, unless all are fit."""
        import ray

        name, text = f".recurra-{uuid4().hex}", uuid4().hex
        answers = {node.id: f"{name}-{node.id}" for node in nodes}
        folder, url = (None, self.exchange.url) if self.exchange else (str(self.home.store.root), None)
        ours, problems = facts([*self.backends]) | code([*self.backends]), dict[str, str]()
        with self._laid(name, text, [*answers.values()]):
            asked: dict[Any, Node] = {
                _on_node(node.id).remote([*self.backends], folder, url, name, text, answers[node.id]): node
                for node in nodes
            }
            answered, silent = ray.wait([*asked], num_returns=len(asked), timeout=PATIENCE)
            problems |= {asked[ref].name: "does not answer" for ref in silent}
            for ref in answered:
                if problem := self._problem(ref, ours, answers[asked[ref].id], text):
                    problems[asked[ref].name] = problem
        if problems:
            more = f" (and {len(problems) - 1} more nodes of {len(asked)})" if len(problems) > 1 else ""
            raise InputError("node {}: {}".format(*next(iter(problems.items()))) + more)

    def _problem(self, ref: Any, ours: Mapping[str, str], answer: str, text: str) -> str:
        import ray
        from ray.exceptions import RayError

        try:
            found: Any = ray.get(ref)
        except RayError as error:
            return " ".join(str(error).split())[-300:]
        if differing := difference(ours, found["facts"]):
            return f"{differing}. All nodes need the same recurra and backends"
        reach = found["reach"] or self._unseen(answer, text)
        if reach and self.exchange:
            reach = reach.replace(self.exchange.url, self.exchange.shown)
            return f"--shared {self.exchange.shown}: {reach}. Every node has to read and write it"
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
    def _laid(self, name: str, text: str, answers: Sequence[str]) -> Iterator[None]:
        """Within the block a small file lies where artifacts are exchanged; what is laid beside it goes with it."""
        if self.exchange is None:
            with self._locked(name, text, answers):
                yield
            return
        try:
            self.exchange.write(name, text)
        except WorkerHinderedError as error:
            raise InputError(str(error)) from error
        try:
            yield
        finally:
            for each in (name, *answers):
                with suppress(WorkerHinderedError):
                    self.exchange.remove(each)

    @contextmanager
    def _locked(self, name: str, text: str, answers: Sequence[str]) -> Iterator[None]:
        """The file, in the store of the home folder, with a lock that the nodes must not get."""
        root = self.home.store.root
        root.mkdir(parents=True, exist_ok=True)
        try:
            with (root / name).open("w") as file:
                file.write(text)
                file.flush()
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
        finally:
            for each in (name, *answers):
                (root / each).unlink(missing_ok=True)


def _on_node(node: str) -> Any:
    """The remote function that inspects the node, whatever it has installed."""
    import ray
    from ray import cloudpickle
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from recurra_flows.ray import inspection

    cloudpickle.register_pickle_by_value(inspection)
    there: Any = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(inspection.inspected)
