"""`recurra devices`: the machine's GPUs and cores, who holds each, and who waits."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from recurra.devices.words import held_for
from recurra.wording import size
from recurra_flows.cli import output

if TYPE_CHECKING:
    from recurra.devices import Gpu, Holder, Holding


def devices(*, json: output.Json = False) -> int:
    """List the GPUs and cores that recurra may use here, who holds each, for how long, and who waits."""
    from recurra.devices import Leases

    leases = Leases.of_this_machine()
    inventory, holdings, waiting = leases.inventory, leases.holdings(), leases.waiting()
    gpus = list(zip(inventory.gpus, (one.holder for one in holdings if one.kind == "gpu"), strict=True))
    cores = [one for one in holdings if one.kind == "core"]
    if json:
        output.emit(
            {
                "gpus": [{**asdict(gpu), "holder": _fields(holder)} for gpu, holder in gpus],
                "cores": [{"core": int(one.unit), "holder": _fields(one.holder)} for one in cores],
                "waiting": [{**asdict(one.request), "holder": _fields(one.holder)} for one in waiting],
                "leases": str(leases.folder),
            }
        )
        return 0
    rows = [_gpu_row(number, gpu, holder) for number, (gpu, holder) in enumerate(gpus)]
    output.table(("unit", "what", "memory", "held by", "of", "for", "process"), [*rows, *_core_rows(cores)])
    for one in waiting:
        print(f"waiting for {one.request}: {one.holder}, for {held_for(one.holder.since)}")
    if not gpus:
        print(f"no GPU: a task that asks for one gets a share of the {inventory.cores} cores")
    print(f"leases in {leases.folder}")
    return 0


def _gpu_row(number: int, gpu: Gpu, holder: Holder | None) -> Sequence[str]:
    memory = "" if gpu.memory is None else size(gpu.memory)
    return (f"GPU {number}", f"{gpu.name} ({gpu.id})", memory, *_held(holder))


def _core_rows(cores: Iterable[Holding]) -> list[Sequence[str]]:
    """A row for each holder's cores: a machine may have hundreds."""

    def order(one: Holding) -> tuple[Any, ...]:
        return (-1,) if one.holder is None else (one.holder.since, one.holder.pid, one.holder.what, one.holder.flow)

    groups = [list(group) for _, group in groupby(sorted(cores, key=order), order)]
    return [
        (f"{len(group)} core{'s' * (len(group) > 1)}", _ranges([int(one.unit) for one in group]), "", *_held(holder))
        for group in groups
        for holder in [group[0].holder]
    ]


def _ranges(numbers: Sequence[int]) -> str:
    """0, 1, 2, 5 -> 0-2, 5."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _held(holder: Holder | None) -> Sequence[str]:
    if holder is None:
        return ("free", "", "", "")
    process = f"{holder.pid or 'unknown'}{'' if holder.lives else ' (gone; its worker is not)'}"
    return (holder.what, holder.flow, held_for(holder.since), process)


def _fields(holder: Holder | None) -> dict[str, Any] | None:
    if holder is None:
        return None
    return {**asdict(holder), "seconds": max(0.0, time.time() - holder.since), "lives": holder.lives}
