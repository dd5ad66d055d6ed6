"""One piece of work on a cluster: begun on a node, watched, and begun again where the node is lost."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.errors import RecurraError
from recurra.progress import Progress, replay
from recurra_flows.ray.errand import KINDS, Look, Order
from recurra_flows.worker_process import Live, Stopped
from recurra_flows.workers import WorkerHinderedError, WorkerLostError

if TYPE_CHECKING:
    from recurra_flows.ray.cluster import Cluster

TRIES = 4
"""Nodes that one piece of work may lose."""
TELL = (10.0, 60.0)
"""Seconds until it is said that work waits for a node, and between that and the next time."""
MEMORY = ("OUT_OF_MEMORY", "low on memory")
"""What Ray says of a process that it ended because its node's memory was full."""


class Work:
    """A piece of work for which Ray is asked by `options`; ends with the flow run of `live`."""

    def __init__(self, cluster: Cluster, options: Mapping[str, Any], live: Live) -> None:
        self.cluster, self.options, self.live = cluster, options, live

    def done(self, body: str, request: Mapping[str, Any], progress: Progress, log: Path | None) -> Any:
        """As `run_worker`; a WorkerHinderedError where the cluster, and not the work, failed."""
        from ray.exceptions import RayActorError

        order = self.cluster.order(body, request, self.options)
        for left in reversed(range(TRIES)):
            try:
                answer = self._errand(order, progress, log)
                break
            except RayActorError as error:
                cause = _cause(body, error)
                if left:
                    progress.note(f"{body}: its node was lost ({cause}); it is given to the cluster again")
        else:
            raise WorkerHinderedError(f"{body}: {TRIES} nodes were lost, one after the other")
        if "value" not in answer:
            raise _raised(answer, log)
        return self.cluster.received(answer["value"], request, order.name)

    def _errand(self, order: Order, progress: Progress, log: Path | None) -> dict[str, Any]:
        """What came of it on one node."""
        import ray

        from recurra_flows.ray.errand import Errand

        with _of_ray(order.body):
            errand: Any = ray.remote(**self.options, max_restarts=0)(Errand).remote()
        try:
            self._get(order.body, errand.begin, order, told=progress.note)
            with _printing(log) as printing:
                while True:
                    look: Look = self._get(order.body, errand.look)
                    for event in look.events:
                        replay(json.loads(event), progress)
                    printing(look.printed)
                    if look.answer is not None:
                        return look.answer
        finally:
            progress.end()
            with suppress(Exception):
                ray.kill(errand)

    def _get(self, body: str, method: Any, *order: Order, told: Callable[[str], None] | None = None) -> Any:
        """What the actor's method answers; `told` is told of a long wait for a node. Stopped where the flow ends."""
        import ray

        start, tell = time.monotonic(), TELL[0]
        with _of_ray(body):
            ref = method.remote(*order)
        while True:
            with _of_ray(body):
                came = ray.wait([ref], timeout=0.5)[0]
            if self.live.stopped:
                raise Stopped
            if came:
                with _of_ray(body):
                    return ray.get(ref)
            if told and time.monotonic() - start > tell:
                tell += TELL[1]
                told(f"waits for {_words(self.options)} of the cluster")


@contextmanager
def _of_ray(body: str) -> Iterator[None]:
    """What Ray raises within the block as ours, but for a lost actor. Its client raises what it likes (grpc's too)."""
    from ray.exceptions import RayActorError

    try:
        yield
    except RayActorError:
        raise
    except Exception as error:
        raise WorkerHinderedError(f"{body}: the Ray cluster: {_last_line(error)}") from error


@contextmanager
def _printing(log: Path | None) -> Iterator[Callable[[bytes], Any]]:
    """Where a worker's output goes: the log, which is there then, or standard error."""
    if log is not None:
        with log.open("ab", buffering=0) as file:
            yield file.write
        return
    yield _to_standard_error


def _to_standard_error(printed: bytes) -> None:
    if printed and sys.__stderr__:
        sys.__stderr__.buffer.write(printed)
        sys.__stderr__.flush()


def _cause(body: str, error: Any) -> str:
    """Ray's words for why an actor was lost. Raises where another node would not help."""
    reason = " ".join(str(error).split())
    if error.actor_init_failed:
        raise WorkerHinderedError(f"{body}: a node cannot begin with it: {_last_line(error)}") from error
    if any(each in reason for each in MEMORY):
        raise WorkerLostError(
            f"{body}: Ray ended it because its node's memory was full: see train.batch_size"
        ) from error
    found = re.search(r"because ([^.:]+)", reason)
    return found[1].strip() if found else reason[:100]


def _last_line(error: Exception) -> str:
    """The last line of Ray's text, where the cause of a remote traceback is."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


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
