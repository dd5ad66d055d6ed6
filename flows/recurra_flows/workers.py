"""Runs what needs a framework in a fresh process of its own: one framework per process, and none in this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp
from typing import IO, Any

from recurra.errors import InputError, RecurraError
from recurra.progress import Progress, replay

PATIENCE = 5.0
"""Seconds that a worker has to end by itself when it is told to."""


class WorkerLostError(RecurraError):
    """A worker did not do its work for a reason that may pass: it was killed, or a disk or a network failed it."""


def run_worker(
    body: str,
    request: Mapping[str, Any],
    progress: Progress,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Any:
    """What `recurra_flows.worker`'s body of that name answers to the request (JSON both).

    Progress is shown while it works. What the process prints goes to `log`, or to standard error where there is none.
    `env` is added to its environment. The worker's InputError or RecurraError is raised here, with its traceback as a
    note; WorkerLostError where it was killed or had an OSError. An exception here (Ctrl-C) ends the worker.
    """
    with _output(log) as output, _started(output, env or {}) as (process, events), _shown(progress):
        _send(process, {"body": body, **request})
        for line in events:
            if not line.endswith("\n"):
                break  # it was killed while it wrote
            event = json.loads(line)
            if event["event"] == "result":
                return event["value"]
            if event["event"] == "error":
                raise _error(event)
            replay(event, progress)
        raise _lost(body, process.wait(), log)


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
def _started(output: IO[bytes] | int, env: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], IO[str]]]:
    """A worker and the events that it sends; it does not outlive the block."""
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as events:
        try:
            process = subprocess.Popen(
                # -P: a torch.py in the user's folder is not the framework.
                [sys.executable, "-P", "-m", "recurra_flows.worker", str(writing)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT if output != subprocess.DEVNULL else output,
                pass_fds=[writing],
                env={**os.environ, **env},
                start_new_session=True,  # Ctrl-C is for this process, which then ends the worker
            )
        finally:
            os.close(writing)
        try:
            yield process, events
        finally:
            end(process)


def _send(process: subprocess.Popen[bytes], request: Mapping[str, Any]) -> None:
    # Standard input stays open afterwards: it is the worker's lifeline.
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it is dead then, and the missing answer will say so
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that has done its work or is no longer wanted, and waits until it is gone."""
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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
    kind = WorkerLostError if event["transient"] else InputError if event["input"] else RecurraError
    error = kind(event["line"])
    error.add_note(f"In the worker process:\n{event['traceback']}")
    return error


def _lost(body: str, status: int, log: Path | None) -> WorkerLostError:
    name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    cause = " (often for lack of memory: see train.batch_size)" if status == -signal.SIGKILL else ""
    printed = f"; what it printed: {log}" if log else ""
    return WorkerLostError(f"{body}: the worker process was ended by {name}{cause}{printed}")
