"""A fresh Python process for one piece of work: it holds its lease itself, and it never outlives its owner.

It ends with the block that started it, with the flow whose work it does, and, by its lifeline, with a process that was
killed; and what it has started ends with it.
"""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurra.devices import Lease

PATIENCE = 3.0
"""Seconds that a process has to end by itself when it is told to."""
LOOK = 500
"""Milliseconds between two looks of a thread that waits for a worker; Prefect raises a task's timeout in between."""


class Stopped(KeyboardInterrupt):
    """A task's work was ended with its flow. No Exception, so that nothing tries it again."""


class Live:
    """The processes that work for one flow run, so that they can all be ended at once."""

    def __init__(self) -> None:
        self._lock, self._processes = threading.Lock(), set[subprocess.Popen[bytes]]()
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether no more work is wanted."""
        return self._stopped

    def stop(self) -> None:
        """Tells all processes to end, and every one that starts from now on. Who waits for them sees to it."""
        with self._lock:
            self._stopped = True
            for process in self._processes:
                _tell(process)

    @contextmanager
    def joined(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Within the block the process is one of them."""
        with self._lock:
            self._processes.add(process)
            if self._stopped:
                _tell(process)
        try:
            yield
        finally:
            with self._lock:
                self._processes.discard(process)


@dataclass(frozen=True)
class Held:
    """What the work in this thread, or in this task, has: its lease, and the flow run's processes."""

    lease: Lease
    live: Live


_held: ContextVar[Held | None] = ContextVar("held", default=None)


@contextmanager
def holding(lease: Lease, live: Live | None = None) -> Iterator[None]:
    """Within the block, processes start with this lease."""
    token = _held.set(Held(lease, live or Live()))
    try:
        yield
    finally:
        _held.reset(token)


@contextmanager
def worker_process(
    module: str, output: IO[bytes] | int | None = None, env: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], io.BufferedReader[Any]]]:
    """A process that runs `module DESCRIPTOR`, and what it writes to that descriptor; gone after the block.

    Its standard input is its lifeline. Its environment is this one's, with that of the lease that is held here and
    with `env`; it has the lease's locks too. Standard output and error go to `output`; None: to this process's own.
    """
    held = _held.get()
    reading, writing = os.pipe()
    patient = _Patient(reading, held)
    with io.BufferedReader(patient) as answers:
        try:
            process = subprocess.Popen(
                # -P: a torch.py in the user's folder is not the framework.
                [sys.executable, "-P", "-m", module, str(writing)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT if output not in (None, subprocess.DEVNULL) else output,
                pass_fds=[writing, *(held.lease.descriptors if held else ())],
                env={**os.environ, **(surroundings(held.lease) if held else {}), **(env or {})},
                start_new_session=True,  # Ctrl-C is for this process, which then ends the worker
            )
        finally:
            os.close(writing)
        patient.process = process
        try:
            with held.live.joined(process) if held else nullcontext():
                yield process, answers
        finally:
            end(process)


def surroundings(lease: Lease) -> dict[str, str]:
    """The environment of a process that works with the lease."""
    # TensorFlow otherwise takes all of a GPU's memory at once.
    growth = os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    return {**lease.environment, "TF_FORCE_GPU_ALLOW_GROWTH": growth}


def send(process: subprocess.Popen[bytes], blocks: Sequence[bytes]) -> None:
    """Writes to the process's standard input, which stays open afterwards: it is the lifeline."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it is dead then, and the missing answer will say so
        for block in blocks:
            process.stdin.write(block)
        process.stdin.flush()


def outcome(process: subprocess.Popen[bytes]) -> int:
    """What a process that has closed its descriptor exits with; -N for signal N."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    return end(process)


def end(process: subprocess.Popen[bytes]) -> int:
    """Ends a process that has done its work or is no longer wanted, waits until it is gone, and ends what is left of
    its session. What it exited with; -N for signal N.
    """
    assert process.stdin is not None
    if process.stdin.closed:  # it was ended before, and its number may be another's by now
        return process.wait()
    _tell(process)
    try:
        status = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    with suppress(BrokenPipeError):
        process.stdin.close()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # processes that it started; the group's number is taken while any lives
    return status


def _tell(process: subprocess.Popen[Any]) -> None:
    with suppress(ProcessLookupError):
        process.terminate()


class _Patient(io.RawIOBase):
    """A pipe that is read by a thread that still hears: of Prefect's timeout, or that no more work is wanted. It ends
    with the process, though one that this has forked keeps it open.
    """

    process: subprocess.Popen[bytes] | None = None

    def __init__(self, descriptor: int, held: Held | None) -> None:
        self.descriptor, self.held = descriptor, held
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        ready, dead = [], False
        while not ready and not dead:
            if self.held is not None and self.held.live.stopped:
                raise Stopped
            # In this order: what it wrote before it died is read.
            dead = self.process is not None and self.process.poll() is not None
            ready = self._poll.poll(0 if dead else LOOK)
        return os.readv(self.descriptor, [buffer]) if ready else 0

    def close(self) -> None:
        if not self.closed:
            os.close(self.descriptor)
        super().close()
