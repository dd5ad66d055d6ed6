"""What somebody asks for: so many GPUs or cores, all or nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from recurra.devices.gpu import Gpu
from recurra.devices.inventory import Inventory
from recurra.errors import InputError


@dataclass(frozen=True)
class Request:
    """So many GPUs and so many cores."""

    gpus: int = 0
    cores: int = 0

    @classmethod
    def of_tags(cls, tags: Iterable[str], inventory: Inventory, cores: int | None = None) -> Request | None:
        """What a task's tags ask for on this machine; None where none of them names a device.

        `gpu:N` asks for N GPUs, or on a machine without any for N CPU slots; `cpu:N` for N CPU slots anyway; without a
        number, for one. A slot has `cores` cores (default: all, divided by N); together they are never more than the
        machine has, so that a flow written for a larger one runs. InputError where a tag is malformed, or two differ.
        """
        asked = {tag: found for tag in tags if (found := re.fullmatch(r"(gpu|cpu)(?::(.*))?", tag, re.IGNORECASE))}
        if not asked:
            return None
        if len(asked) > 1:
            raise InputError(f"the tags {' and '.join(sorted(asked))}: expected one that names devices, not several")
        [(tag, found)] = asked.items()
        count = _count(tag, found[2])
        if found[1].lower() == "gpu" and inventory.gpus:
            return cls(gpus=count)
        if cores is not None and cores < 1:
            raise InputError(f"cores={cores}: a CPU slot has at least one core")
        share = cores or max(1, inventory.cores // count)
        return cls(cores=min(inventory.cores, count * share))

    def candidates(self, inventory: Inventory) -> tuple[tuple[Gpu, ...], tuple[int, ...]]:
        """The GPUs and the cores, by number, that may serve it; InputError where they can never be enough."""
        if self.gpus < 0 or self.cores < 0 or not self.gpus + self.cores:
            raise InputError(f"a request for {self.gpus} GPUs and {self.cores} cores: expected at least one of either")
        gpus = inventory.gpus
        if self.gpus > 1:
            gpus = tuple(gpu for gpu in gpus if not gpu.is_part)  # CUDA shows a process one instance
        if self.gpus > len(gpus):
            raise InputError(f"{self} asked for, and {_there(inventory, self.gpus)}; ask for fewer")
        if self.cores > inventory.cores:
            raise InputError(f"{self} asked for, and this machine has {inventory.cores}; ask for fewer")
        return gpus if self.gpus else (), inventory.core_numbers if self.cores else ()

    def __str__(self) -> str:
        parts = [(self.gpus, "GPU"), (self.cores, "core")]
        return " and ".join(f"{count} {what}{'s' * (count != 1)}" for count, what in parts if count)


def _count(tag: str, number: str | None) -> int:
    if number is None:
        return 1
    if not re.fullmatch(r"[1-9][0-9]{0,3}", number):
        raise InputError(f"the tag '{tag}': expected a number from 1 after the colon, as in `gpu:1` or `cpu:2`")
    return int(number)


def _there(inventory: Inventory, asked: int) -> str:
    instances = sum(gpu.is_part for gpu in inventory.gpus)
    if asked > 1 and instances:
        whole = len(inventory.gpus) - instances
        return f"this machine has {whole} whole ones and {instances} MIG instances, of which a process can use one"
    return f"this machine has {len(inventory.gpus) or 'none'}"
