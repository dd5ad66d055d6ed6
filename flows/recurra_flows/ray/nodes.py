"""The nodes of the cluster: what they have, and for how many tasks there is room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from recurra.devices import Request
from recurra.devices.gpu import Gpu
from recurra.devices.inventory import Inventory
from recurra.errors import InputError
from recurra.experiment import Experiment
from recurra_flows.leased import slots


@dataclass(frozen=True)
class Node:
    """A machine of the cluster, or what was started as one."""

    id: str
    name: str
    cpus: int
    gpus: int


def nodes() -> list[Node]:
    """Those that are alive and have something to work with. (A head node is often told to have nothing.)"""
    import ray

    found = []
    for each in ray.nodes():
        has = each["Resources"]
        if each["Alive"] and (has.get("CPU") or has.get("GPU")):
            name, host = each["NodeName"], each["NodeManagerHostname"]
            shown = name if name == host else f"{name} ({host})"
            found.append(Node(each["NodeID"], shown, int(has.get("CPU", 0)), int(has.get("GPU", 0))))
    return sorted(found, key=lambda node: node.name)


@dataclass(frozen=True)
class Capacity:
    """What the nodes have in all, and how tasks ask for it."""

    nodes: Sequence[Node]

    def room(self, experiment: Experiment) -> int:
        """For how many of its trainings there is room at once: one on each GPU; without GPUs, one on each CPU."""
        return max(1, self._places(slots(experiment), self._gpus(experiment)))

    def share(self, experiment: Experiment, jobs: int) -> int:
        """CPUs of each CPU slot where so many of its trainings go on at once."""
        if self._gpus(experiment):
            return 1
        most = max(node.cpus for node in self.nodes)
        fitting = [each for each in range(1, most + 1) if self._places(each * slots(experiment), False) >= jobs]
        return max(fitting, default=1)

    def options(self, tags: Iterable[str], cores: int | None) -> dict[str, Any] | None:
        """What Ray is asked for: the GPUs of `gpu:N`, in a cluster without any, and of `cpu:N`, CPU slots of `cores`.

        None where no tag names a device. A GPU has its share of its node's CPUs with it. An InputError where no node
        has as much.
        """
        request = Request.of_tags(tags, self._largest(), cores)
        if request is None:
            return None
        most = max(node.gpus for node in self.nodes)
        if request.gpus > most:
            raise InputError(
                f"{request} asked for, and the largest node of the cluster has {most}; a task cannot span nodes"
            )
        if request.gpus:
            each = min(node.cpus // node.gpus for node in self.nodes if node.gpus >= request.gpus)
            return {"num_gpus": request.gpus, "num_cpus": each * request.gpus}
        return {"num_gpus": 0, "num_cpus": request.cores}

    def _gpus(self, experiment: Experiment) -> bool:
        return experiment.device != "cpu" and any(node.gpus for node in self.nodes)

    def _places(self, units: int, gpus: bool) -> int:
        return sum((node.gpus if gpus else node.cpus) // units for node in self.nodes)

    def _largest(self) -> Inventory:
        most = max(node.gpus for node in self.nodes)
        gpus = tuple(Gpu(f"gpu-{number}", "", "of a node", None) for number in range(most))
        return Inventory(gpus, max(1, *(node.cpus for node in self.nodes)))
