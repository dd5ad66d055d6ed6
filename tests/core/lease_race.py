"""A race for leases: `python lease_race.py FOLDER PROCESSES REQUESTS KILLS` prints what came of it as JSON.

Processes ask for 1, 2 or 4 of 4 pretended GPUs, again and again, and log what they hold; some are killed on the way,
and others take over what they had left to do.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from recurra.devices import Gpu, Holder, Inventory, Leases, Request

GPUS = tuple(Gpu(f"gpu{number}", str(number), "pretended", None) for number in range(4))


def race(folder: Path, processes: int, requests: int, kills: int) -> dict[str, int]:
    """Counts: leases begun, times that two held one GPU, processes killed, GPUs held and requests left at the end."""
    leases = Leases(Inventory(GPUS, 1), folder / "leases")
    log = os.open(folder / "log", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    dice = random.Random(0)
    live = {_started(leases, log, seed, requests): requests for seed in range(processes)}
    killed = 0
    while live:
        time.sleep(0.01)
        for process in _ended(live):
            del live[process]
        if live and killed < kills and dice.random() < 0.2:
            victim = dice.choice(sorted(live))
            _say(log, f"killed {victim}")
            os.kill(victim, signal.SIGKILL)
            os.waitpid(victim, 0)
            killed += 1
            left = max(0, live.pop(victim) - _begun(log).count(victim))
            live[_started(leases, log, killed + 1000, left)] = left
    held = sum(one.holder is not None for one in leases.holdings())
    return {
        "begun": len(_begun(log)),
        "overlaps": _overlaps(log),
        "killed": killed,
        "held": held,
        "waiting": len(leases.waiting()),
    }


def _started(leases: Leases, log: int, seed: int, requests: int) -> int:
    process = os.fork()
    if not process:
        dice = random.Random(seed)
        for _ in range(requests):
            count = dice.choice((1, 1, 2, 4))
            with leases.take(Request(gpus=count), Holder(os.getpid(), "race", "", time.time())) as lease:
                names = " ".join(gpu.id for gpu in lease.gpus)
                _say(log, f"begin {os.getpid()} {names}")
                time.sleep(dice.uniform(0, 0.01))
                _say(log, f"end {os.getpid()} {names}")
        os._exit(0)
    return process


def _say(log: int, line: str) -> None:
    os.write(log, f"{line}\n".encode())  # appended in one piece, so that the lines are in the order of what they say


def _ended(live: dict[int, int]) -> list[int]:
    return [process for process in live if os.waitpid(process, os.WNOHANG)[0]]


def _lines(log: int) -> list[list[str]]:
    return [line.split() for line in os.pread(log, os.fstat(log).st_size, 0).decode().splitlines()]


def _begun(log: int) -> list[int]:
    return [int(line[1]) for line in _lines(log) if line[0] == "begin"]


def _overlaps(log: int) -> int:
    holders: dict[str, str] = {}
    found = 0
    for what, process, *gpus in _lines(log):
        if what == "killed":
            holders = {gpu: holder for gpu, holder in holders.items() if holder != process}
        for gpu in gpus:
            if what == "begin":
                found += gpu in holders
                holders[gpu] = process
            elif holders.get(gpu) == process:
                del holders[gpu]
    return found


if __name__ == "__main__":
    print(json.dumps(race(Path(sys.argv[1]), *map(int, sys.argv[2:]))))
