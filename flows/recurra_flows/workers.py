"""Runs what needs a framework in a fresh process of its own: one framework per process, and none in this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from tempfile import mkstemp
from typing import IO, Any

from recurra.errors import InputError, RecurraError
from recurra.progress import Progress, replay
from recurra_flows.worker_process import outcome, send, worker_process


class WorkerLostError(RecurraError):
    """A worker did not do its work for a reason that may pass: it was killed, or a disk or a network failed it."""


class WorkerHinderedError(WorkerLostError):
    """A disk or a network failed a worker: no fault of what it was asked to do."""


_elsewhere: ContextVar[Callable[..., Any] | None] = ContextVar("elsewhere", default=None)


@contextmanager
def working_at(place: Callable[[str, Mapping[str, Any], Progress, Path | None], Any]) -> Iterator[None]:
    """Within the block `run_worker` has its work done by `place`, on another machine: body, request, progress, log."""
    token = _elsewhere.set(place)
    try:
        yield
    finally:
        _elsewhere.reset(token)


def run_worker(
    body: str,
    request: Mapping[str, Any],
    progress: Progress,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Any:
    """What `recurra_flows.worker`'s body of that name answers to the request (JSON both).

    Progress is shown while it works. What the process prints goes to `log`, or to standard error where there is none.
    It works with the lease that is held here; `env` is added to its environment. The worker's InputError or
    RecurraError is raised here, with its traceback as a note; WorkerLostError where it was killed, and of these a
    WorkerHinderedError where it had an OSError. An exception here (Ctrl-C) ends the worker.
    """
    if (place := _elsewhere.get()) is not None:
        return place(body, request, progress, log)
    with (
        _output(log) as output,
        worker_process("recurra_flows.worker", output, env) as (process, events),
        _shown(progress),
    ):
        send(process, [json.dumps({"body": body, **request}).encode(), b"\n"])
        for line in events:
            if not line.endswith(b"\n"):
                break  # it was killed while it wrote
            event = json.loads(line)
            if event["event"] == "result":
                return event["value"]
            if event["event"] == "error":
                raise _error(event)
            replay(event, progress)
        raise lost(body, outcome(process), log)


@contextmanager
def _shown(progress: Progress) -> Iterator[None]:
    # A worker that failed did not end its bar, which hides the terminal's cursor.
    try:
        yield
    finally:
        progress.end()


@contextmanager
def _output(log: Path | None) -> Iterator[IO[bytes] | int]:
    if log is None:
        yield sys.__stderr__.fileno() if sys.__stderr__ else subprocess.DEVNULL
    else:
        with log.open("ab") as file:
            yield file


@contextmanager
def kept_log(verb: str, debug: bool) -> Iterator[Path | None]:
    """A file for what a worker prints, kept where its death is told with the file's name; None for `debug`."""
    if debug:
        yield None
        return
    descriptor, name = mkstemp(prefix=f"recurra-{verb}-", suffix=".log")
    os.close(descriptor)
    kept = False
    try:
        yield Path(name)
    except WorkerLostError as error:
        kept = name in str(error)
        raise
    finally:
        if not kept:
            Path(name).unlink(missing_ok=True)


def _error(event: Mapping[str, Any]) -> RecurraError:
    kind = WorkerHinderedError if event["transient"] else InputError if event["input"] else RecurraError
    error = kind(event["line"])
    error.add_note(f"In the worker process:\n{event['traceback']}")
    return error


def lost(body: str, status: int, log: Path | None = None) -> WorkerLostError:
    """What is raised where a worker ended without an answer; `status`: -N for signal N."""
    name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    cause = " (often for lack of memory: see train.batch_size)" if status == -signal.SIGKILL else ""
    printed = f"; what it printed: {log}" if log else ""
    return WorkerLostError(f"{body}: the worker process was ended by {name}{cause}{printed}")
