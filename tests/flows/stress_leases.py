"""Two flows at once ask for more devices than there are while their workers are killed, and nobody shares a device.

    python tests/flows/stress_leases.py [TASKS] [KILLS]     (200 and 20, of both flows together)

What is checked comes from the workers' own log: each writes when it begins, that it lives, and when it ends, with the
devices that it sees. One that was killed held its devices at least until it last said that it lives.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

SIZES = (1, 1, 2, 4)


def work(folder: str, name: str, seconds: float) -> str:
    """A worker's body: holds its devices for some time."""
    with (Path(folder) / f"{name}-{os.getpid()}").open("a", buffering=1) as log:

        def tell(event: str) -> None:
            devices = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
            log.write(json.dumps({"event": event, "at": time.monotonic(), "pid": os.getpid(), "on": devices}) + "\n")

        tell("begin")
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            time.sleep(0.01)
            tell("lives")
        tell("end")
    return name


def one_flow(folder: str, name: str, tasks: int) -> None:
    """A process with a flow of so many tasks."""
    from prefect import flow, task

    from recurra_flows.gpu_task_runner import gpu_task_runner

    chance = random.Random(name)
    body = task(work, retries=10, persist_result=False)

    @flow(name="stress", task_runner=gpu_task_runner(), persist_result=False)
    def stress() -> list[str]:
        futures = []
        for number in range(tasks):
            sized = body.with_options(tags={f"gpu:{chance.choice(SIZES)}"}, task_run_name=f"{name}-{number}")
            futures.append(sized.submit(folder, f"{name}-{number}", chance.uniform(0.05, 0.4)))
        return [future.result() for future in futures]

    assert stress() == [f"{name}-{number}" for number in range(tasks)]


def run(folder: Path, tasks: int, kills: int) -> list[str]:
    """Runs two flows with so many tasks in all and kills workers; what was wrong, in lines."""
    log = folder / "log"
    log.mkdir()
    flows = [
        subprocess.Popen([sys.executable, __file__, "flow", str(log), name, str(tasks // 2)]) for name in ("a", "b")
    ]
    try:
        killed = _kill_some(log, flows, kills)
        statuses = [flow.wait(600) for flow in flows]
    finally:
        for flow in flows:
            flow.kill()
            flow.wait()
    wrong = [] if statuses == [0, 0] else [f"the flows ended with {statuses}"]
    wrong += [] if len(killed) == kills else [f"{len(killed)} workers were killed, not {kills}"]
    wrong += _shared(log) + _left(log)
    done = sum(any(each["event"] == "end" for each in events) for events in _logs(log))
    return wrong if done == tasks else [*wrong, f"{done} of {tasks} tasks were done"]


def _kill_some(log: Path, flows: list[subprocess.Popen[bytes]], kills: int) -> set[int]:
    """Kills workers at random times until so many are dead."""
    chance, killed = random.Random(1), set[int]()
    while len(killed) < kills and any(flow.poll() is None for flow in flows):
        time.sleep(chance.uniform(0.02, 0.4))
        at_work = {events[0]["pid"] for events in _logs(log) if events and events[-1]["event"] != "end"} - killed
        if at_work:
            victim = chance.choice(sorted(at_work))
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed.add(victim)
    return killed


def _logs(log: Path) -> Iterator[list[dict[str, Any]]]:
    """The events of each worker."""
    for path in sorted(log.iterdir()):
        lines = path.read_text().splitlines(keepends=True)
        yield [json.loads(line) for line in lines if line.endswith("\n")]


def _shared(log: Path) -> list[str]:
    """Each device that two workers had at the same moment."""
    by_device = defaultdict(list)
    for events in _logs(log):
        for device in events[0]["on"] if events else ():
            by_device[device].append((events[0]["at"], events[-1]["at"], events[0]["pid"]))
    wrong = []
    for device, held in by_device.items():
        held.sort()
        pairs = pairwise(held)
        wrong += [f"{device}: {first} and {second}" for first, second in pairs if second[0] <= first[1]]
    return wrong


def _left(log: Path) -> list[str]:
    """Devices that are still held, and workers that still live."""
    from recurra.devices import Leases

    held = [
        f"{each.unit} is still held by {each.holder}" for each in Leases.of_this_machine().holdings() if each.holder
    ]
    pids = {events[0]["pid"] for events in _logs(log) if events}
    return held + [f"process {pid} still lives" for pid in pids if psutil.pid_exists(pid)]


def main() -> None:
    """From the command line."""
    if sys.argv[1:2] == ["flow"]:
        one_flow(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return
    tasks, kills = (int(number) for number in (sys.argv[1:] + ["200", "20"][len(sys.argv) - 1 :]))
    os.environ |= {"RECURRA_DEVICES": "pretend:4", "PREFECT_LOGGING_LEVEL": "ERROR"}
    os.environ |= {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    from prefect.testing.utilities import prefect_test_harness

    with tempfile.TemporaryDirectory() as name, prefect_test_harness(server_startup_timeout=240):
        from prefect.settings import PREFECT_API_URL

        os.environ |= {"RECURRA_LEASES": f"{name}/leases", "PREFECT_API_URL": str(PREFECT_API_URL.value())}
        start = time.monotonic()
        wrong = run(Path(name), tasks, kills)
        print("\n".join(wrong) or f"{tasks} tasks, {kills} kills, {time.monotonic() - start:.0f} s: nothing wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
