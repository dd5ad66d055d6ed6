"""One piece of work on a node: an actor there runs a worker process, and hands over what is asked for of it.

It has an Order from us, and the node's own recurra. When it is killed, the worker process ends by its lifeline.
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TextIO, cast

from recurra.devices.surroundings import thread_limits
from recurra.errors import InputError, RecurraError
from recurra.progress import Events
from recurra.store import Store
from recurra_flows.ray.exchange import Exchange
from recurra_flows.ray.inspection import difference, facts
from recurra_flows.workers import WorkerHinderedError, WorkerLostError, run_worker

KINDS: dict[str, type[RecurraError]] = {
    kind.__name__: kind for kind in (WorkerHinderedError, WorkerLostError, InputError, RecurraError)
}
"""What a worker's failure may be, by name."""
WAIT = 0.5
"""Seconds that a look waits for news."""
PRINTED = 1 << 20
"""Bytes of what the worker prints that one look brings."""


@dataclass(frozen=True)
class Order:
    """What is to be done, and by what terms."""

    body: str
    request: Mapping[str, Any]
    """As of `run_worker`. Its store is this one's where there is no exchange."""
    digests: Mapping[str, str]
    """Of the request's artifacts, by name."""
    exchange: str | None
    cpus: int
    gpus: int
    facts: Mapping[str, str]
    """What has to be the same on the node."""
    backend: str
    name: str


@dataclass(frozen=True)
class Look:
    """What has happened since the last look."""

    events: list[str]
    """Progress, as JSON."""
    printed: bytes
    answer: dict[str, Any] | None
    """What came of it, once it has ended."""


@dataclass
class Outbox:
    """What `Events` writes, line by line, until it is taken."""

    lines: list[str] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def write(self, text: str) -> None:
        """A line, or the end of one."""
        if text.strip():
            with self.news:
                self.lines.append(text)
                self.news.notify_all()

    def flush(self) -> None:
        """Nothing: a line is there at once."""

    def take(self) -> list[str]:
        """All of them, in order."""
        with self.news:
            lines, self.lines = self.lines, []
        return lines


class Errand:
    """An actor: `begin` once, then `look` until there is an answer."""

    def __init__(self) -> None:
        self._outbox, self._answer = Outbox(), cast("dict[str, Any] | None", None)
        self._log, self._told = cast("IO[bytes] | None", None), 0

    def begin(self, order: Order) -> None:
        """Starts the work."""
        # Ray ends this process without a chance to tidy up: the file has no name from the start.
        self._log = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - open as long as the actor
        threading.Thread(target=self._work, args=(order, self._log), name=order.body, daemon=True).start()

    def look(self) -> Look:
        """What has happened since the last look; waits a little for something to happen."""
        with self._outbox.news:
            if not self._outbox.lines and self._answer is None:
                self._outbox.news.wait(WAIT)
        answer = self._answer  # first: what it was told before it ended is in the events
        assert self._log is not None
        printed = os.pread(self._log.fileno(), PRINTED, self._told)
        self._told += len(printed)
        return Look(self._outbox.take(), printed, answer if len(printed) < PRINTED else None)

    def _work(self, order: Order, log: IO[bytes]) -> None:
        at = Path(f"/dev/fd/{log.fileno()}")
        try:
            self._end({"value": self._done(order, at)})
        except BaseException as error:
            kind = type(error).__name__ if type(error) in KINDS.values() else ""
            kind = kind or ("WorkerHinderedError" if isinstance(error, OSError) else "RecurraError")
            line, notes = str(error), getattr(error, "__notes__", [])
            if not isinstance(error, RecurraError):
                line = f"{order.body}: {type(error).__name__}: {' '.join(line.split())[:500]}"
                notes = [*notes, f"On the node {socket.gethostname()}:\n{traceback.format_exc()}"]
            self._end({"kind": kind, "line": line.replace(f"; what it printed: {at}", ""), "notes": notes})

    def _end(self, answer: dict[str, Any]) -> None:
        with self._outbox.news:
            self._answer = answer
            self._outbox.news.notify_all()

    def _done(self, order: Order, log: Path) -> Any:
        differing = difference(order.facts, facts([order.backend]))
        if differing:  # a node that came later was not asked before
            raise InputError(f"{socket.gethostname()}: {differing}")
        exchange = Exchange(order.exchange) if order.exchange else None
        store = exchange.local() if exchange else Store(Path(order.request["store"]))
        if exchange:
            for name, (stage, key) in order.request["artifacts"].items():
                exchange.pull(store, stage, key, order.digests[name], order.name)
        start, progress = time.monotonic(), Events(cast(TextIO, self._outbox))
        made = run_worker(order.body, {**order.request, "store": str(store.root)}, progress, log, surroundings(order))
        artifact = store.find(made["stage"], made["key"])
        if artifact is None:
            raise WorkerLostError(f"{order.body}: its artifact {made['key']} is not in the node's store")
        if exchange:
            exchange.push(artifact)
        seconds = max(made["seconds"], time.monotonic() - start)
        return {**made, "digest": artifact.digest, "inputs": artifact.inputs, "seconds": seconds}


def surroundings(order: Order) -> dict[str, str]:
    """The environment of a process that works with what Ray gave this one."""
    return {
        # Of a task without GPUs Ray leaves it as it is.
        "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "") if order.gpus else "",
        "TF_FORCE_GPU_ALLOW_GROWTH": os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH", "true"),
        **thread_limits(order.cpus),
    }
