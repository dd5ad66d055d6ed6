"""The GPUs and cores that this machine has for us."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from recurra.devices import nvml, visible
from recurra.devices.gpu import Gpu
from recurra.environment import usable_cores
from recurra.errors import InputError

MOST_PRETENDED = 64


@dataclass(frozen=True)
class Inventory:
    """What may be leased."""

    gpus: tuple[Gpu, ...]
    cores: int
    """Cores that this process may use."""
    numbers: tuple[int, ...] = ()
    """The cores as the system numbers them; left out: 0, 1, ...

    Processes that are pinned to different cores then do not wait for each other.
    """

    @property
    def core_numbers(self) -> tuple[int, ...]:
        """One number for each core."""
        return self.numbers or tuple(range(self.cores))


def inventory() -> Inventory:
    """This machine's GPUs and cores.

    The GPUs are NVML's, in its order, as far as CUDA_VISIBLE_DEVICES lets this process see them; none where there is
    no driver. RECURRA_DEVICES says otherwise: `none`, or `pretend:4` for four GPUs that are not there. InputError where
    it says something else.
    """
    cores = usable_cores()
    affinity = tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()
    return Inventory(_gpus(), cores, affinity if len(affinity) == cores else ())


def _gpus() -> tuple[Gpu, ...]:
    setting = os.environ.get("RECURRA_DEVICES", "").strip()
    if not setting:
        return visible.chosen(nvml.boards(), os.environ.get("CUDA_VISIBLE_DEVICES"))
    if setting == "none":
        return ()
    pretended = re.fullmatch(r"pretend:(\d{1,3})", setting)
    if pretended is None or not 1 <= int(pretended[1]) <= MOST_PRETENDED:
        raise InputError(
            f"RECURRA_DEVICES={setting}: expected `none`, or `pretend:N` for N pretended GPUs (1 to {MOST_PRETENDED});"
            " unset it to use the GPUs that are there"
        )
    names = [f"pretend-{number}" for number in range(int(pretended[1]))]
    return tuple(Gpu(name, name, "pretended", None) for name in names)
