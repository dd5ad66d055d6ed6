"""The processes of one parallel training: started together, asked together, ended together.

This process is none of them: it never waits within a collective operation, where nothing could reach it, but on pipes,
which tell at once that a rank has died.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import IO, Any

import numpy as np

from recurra.errors import DeviceMemoryError, InputError, RecurraError
from recurra_torch.shared import SharedArrays, anonymous_memory

PATIENCE = 300.0
"""Seconds that ranks wait for each other within a step."""
GRACE = 1.0
"""Seconds after the first sign of trouble in which the others' signs are awaited: the first may be a consequence."""
_OWN: dict[str, type[RecurraError]] = {error.__name__: error for error in (DeviceMemoryError, InputError)}
"""Errors of a rank that are raised as what they are."""
_INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
_TIMED_OUT = re.compile(r"tim(?:ed|e) ?out", re.IGNORECASE)


class RankLostError(RecurraError, ChildProcessError):
    """A rank was killed or does not answer. An OSError, for the reason may pass."""


@dataclass(frozen=True)
class Rank:
    """A process and how it is spoken with."""

    name: str
    process: subprocess.Popen[bytes]
    answers: IO[bytes]

    def tell(self, request: Mapping[str, Any]) -> None:
        """Sends a request."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it is dead then, and the missing answer will say so
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()

    def answer(self) -> dict[str, Any] | None:
        """Its next answer; None where it is dead."""
        line = self.answers.readline()
        return json.loads(line) if line.endswith(b"\n") else None

    def death(self) -> RankLostError:
        """What it died of."""
        status = self.process.wait()
        cause = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"
        advice = {-signal.SIGKILL: " (often for lack of memory: see train.batch_size)"}.get(status, "")
        return RankLostError(f"{self.name} {cause}{advice}")


class Ranks:
    """The ranks of one training, which end with this object and with this process, however it ends."""

    def __init__(self, devices: Sequence[str], build: Mapping[str, Any]) -> None:
        """Starts a rank on each device; `build` is the first request, the same for all but for device and rank."""
        self.shared, self.patience = SharedArrays(anonymous_memory()), PATIENCE
        with ExitStack() as started:
            started.callback(os.close, self.shared.descriptor)
            descriptor, store = tempfile.mkstemp(prefix="recurra-ranks-")
            os.close(descriptor)
            started.callback(Path(store).unlink, missing_ok=True)
            self.ranks = [
                _start(f"rank {number} of {len(devices)} ({device})", self.shared.descriptor, store, started)
                for number, device in enumerate(devices)
            ]
            self.end = weakref.finalize(self, started.pop_all().close)
        try:
            self._answers(self.ranks)
            for number, (rank, device) in enumerate(zip(self.ranks, devices, strict=True)):
                place = {"device": device, "rank": number, "ranks": len(devices), "patience": self.patience}
                rank.tell({**build, **place})
            self._answers(self.ranks)
        except BaseException:
            self.end()
            raise

    @property
    def alive(self) -> bool:
        """Whether they can be asked."""
        return self.end.alive

    def all(self, do: str, arrays: Mapping[str, np.ndarray], **values: Any) -> dict[str, np.ndarray]:
        """Has all ranks do something with the arrays; what the first one answers."""
        return self._ask(self.ranks, do, arrays, values)

    def first(self, do: str, arrays: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """Has the first rank alone do something; its answer."""
        return self._ask(self.ranks[:1], do, arrays or {}, {})

    def _ask(
        self, asked: Sequence[Rank], do: str, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        if not self.alive:
            raise RankLostError("the ranks of this training have ended; load its weights to start them anew")
        try:
            request = {"do": do, "arrays": self.shared.put(arrays), **values}
            for rank in asked:
                rank.tell(request)
            return self.shared.copies(self._answers(asked)[0]["arrays"])
        except BaseException as error:  # Ctrl-C too: some may be a step ahead of others
            if len(asked) == 1 and isinstance(error, DeviceMemoryError):
                self.shared.give_back()
            else:
                self.end()
            raise

    def _answers(self, asked: Sequence[Rank]) -> list[dict[str, Any]]:
        """An answer of each, in their order; an error where one has none to give."""
        found: dict[str, dict[str, Any] | None] = {}
        until = None
        with DefaultSelector() as waiting:
            for rank in asked:
                waiting.register(rank.answers, EVENT_READ, rank)
            while waiting.get_map() and (until is None or time.monotonic() < until):
                for key, _ in waiting.select(None if until is None else until - time.monotonic()):
                    answer = found[key.data.name] = key.data.answer()
                    waiting.unregister(key.fileobj)
                    if until is None and (answer is None or "error" in answer):
                        until = time.monotonic() + GRACE
        if until is not None:
            raise self._cause(asked, found)
        return [answer for rank in asked if (answer := found[rank.name]) is not None]

    def _cause(self, asked: Sequence[Rank], found: Mapping[str, dict[str, Any] | None]) -> RecurraError:
        """The first cause among the signs of trouble: a death or full memory makes other ranks fail after it."""
        for rank in asked:
            if rank.name in found and found[rank.name] is None:
                return rank.death()
        told = {name: answer for name, answer in found.items() if answer and "error" in answer}
        for kind, error in _OWN.items():
            for answer in told.values():
                if answer["kind"] == kind:
                    return error(answer["error"])
        silent = [rank.name for rank in asked if rank.name not in found]
        name, answer = next(iter(told.items()))
        if silent and _TIMED_OUT.search(answer["error"]):
            return RankLostError(f"{' and '.join(silent)} did not answer the other ranks within {self.patience:g} s")
        error = RecurraError(f"{name}: {answer['kind']}: {answer['error'][:500]}")
        error.add_note(f"In {name}:\n{answer['traceback']}")
        return error


def _start(name: str, shared: int, store: str, started: ExitStack) -> Rank:
    """A rank whose end `started` will see to."""
    reading, writing = os.pipe()
    answers = started.enter_context(os.fdopen(reading, "rb"))
    try:
        process = subprocess.Popen(
            # -P: a torch.py in the user's folder is not the framework.
            [sys.executable, "-P", "-m", "recurra_torch.rank", str(shared), str(writing), store],
            stdin=subprocess.PIPE,
            stdout=2,  # a framework's chatter is not this process's output
            pass_fds=[shared, writing],
            env={**_local_interfaces(), **os.environ},
            start_new_session=True,  # Ctrl-C is for this process, which then ends the ranks
        )
    finally:
        os.close(writing)
    started.callback(_end, process)
    return Rank(name, process, answers)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a rank. It holds nothing that is not elsewhere."""
    process.kill()
    process.wait()
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()


def _local_interfaces() -> dict[str, str]:
    """What keeps the ranks' talk within this machine: their processes listen to no other."""
    loopback = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
    return dict.fromkeys(_INTERFACES, loopback[0]) if loopback else {}
