"""The conformance kit in a process of its own: one framework in a process, and none in this one."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recurra.certificate import certificate, merged
from recurra.errors import InputError, RecurraError
from recurra.registry import backend_entry, load_backend

Told = Callable[[int, int, Mapping[str, Any]], None]
"""Is told (checks done, of how many, the check that was begun or done last: when it is done, it has an `outcome`)."""
AUTHORS = 'pip install "recurra[plugins]"'
SECONDS = 1200.0
"""How long one check may take: the longest, a GAN's whole trainings, take minutes on a busy machine."""
NO_CHECK, WRONG_WORDS = 5, 4
"""pytest's exit statuses."""


@dataclass
class Ran:
    """What the process of the kit told before it ended."""

    code: dict[str, Any] = field(default_factory=dict)
    collected: int = 0
    checks: list[dict[str, Any]] = field(default_factory=list)
    begun: dict[str, Any] = field(default_factory=dict)
    """The check that was begun last."""
    status: int | None = None
    """pytest's exit status; None where the process did not come to that."""
    versions: dict[str, str] = field(default_factory=dict)
    how: str = ""
    """How the process ended, with the last line that it printed."""

    def records(self) -> list[dict[str, Any]]:
        """One of each check. Where the process ended before the last, the check that was running failed; a RecurraError
        where there was none.
        """
        found = merged(self.checks)
        if self.status in (0, 1) and len(found) == self.collected:
            return found
        if not self.begun:
            raise RecurraError(f"the conformance kit could not begin: {self.how}")
        reason = f"the kit ended in it, with {len(found)} of {self.collected} checks done: {self.how}"
        unmeasured = {"seconds": 0.0, "comparisons": 0, "largest": None}
        return merged([*self.checks, {**self.begun, "outcome": "failed", "reason": reason, **unmeasured}])


def certified(
    name: str, words: str = "", quick: bool = False, told: Told = lambda *_: None, seconds: float = SECONDS
) -> dict[str, Any]:
    """The certificate of the backend of that name; `words` is pytest's expression over the names of checks, `seconds`
    how long one check may take.

    InputError where there is no such backend, no such check, or pytest is missing; RecurraError where the kit could not
    begin.
    """
    entry = backend_entry(name)
    backend = load_backend(name)
    if importlib.util.find_spec("pytest") is None:
        raise InputError(f"the conformance kit needs pytest, which is not installed: {AUTHORS}")
    ran = _run(name, words, quick, told, seconds)
    if ran.status == WRONG_WORDS:
        raise InputError(f"-k {words}: expected words joined by and, or, not: -k 'gates or epsilon'")
    if ran.status == NO_CHECK:
        raise InputError(f"-k {words}: no check has that in its name")
    left_out = [f"-k {words}"] if words else []
    selection = " ".join([*left_out, *(["--quick"] if quick else [])])
    return certificate(entry, backend, ran.records(), ran.versions, selection, ran.code)


def _run(name: str, words: str, quick: bool, told: Told, seconds: float) -> Ran:
    reader, writer = os.pipe()
    # -P: what is installed is checked, and not what lies in this folder.
    command = [sys.executable, "-P", "-m", "recurra.certifying", name, str(writer)]
    command += [*(["--quick"] if quick else []), *(["-k", words] if words else [])]
    # pytest's plugins are the author's own, and the kit wants none of them.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    ran = Ran()
    with tempfile.TemporaryDirectory() as scratch, (Path(scratch) / "log").open("w+") as log:
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        # A session of its own: all that the backend started is ended with it.
        process = subprocess.Popen(command, env=environment, pass_fds=(writer,), start_new_session=True, **streams)
        os.close(writer)
        hangs = True
        try:
            hangs = _listen(reader, ran, told, seconds)
        finally:
            os.close(reader)
            how = _ended(process, 0.0 if hangs else 10.0)
        log.seek(0)
        said = [line.strip() for line in log.read().splitlines() if line.strip()]
    ran.how = f"nothing was heard of it for {seconds:g} s" if hangs else how if ran.status is None else _stopped(ran)
    ran.how += f"; it said: {_last_words(said)}" if said else ""
    return ran


def _last_words(said: Sequence[str]) -> str:
    """The last line, or of Python's dump after a fatal signal what it was and the line of code that it came in."""
    fatal = next((line for line in said if line.startswith("Fatal Python error")), "")
    if not fatal:
        return said[-1]
    at = next((i for i, line in enumerate(said) if line.startswith("Current thread")), len(said))
    return " in ".join([fatal, *said[at + 1 : at + 2]])


def _stopped(ran: Ran) -> str:
    return f"pytest was stopped (its exit status is {ran.status})"


def _listen(reader: int, ran: Ran, told: Told, seconds: float) -> bool:
    """Until the last event, or the end of the process; whether neither came in time."""
    try:
        # Before the first check everything is imported, and that takes what it takes.
        for event in _events(reader, lambda: seconds if ran.begun else SECONDS):
            kind = event.pop("event")
            if kind == "end":
                ran.status, ran.versions = event["status"], event["versions"]
                return False
            if kind == "code":
                ran.code = event
            elif kind == "collected":
                ran.collected = event["checks"]
            else:
                if kind == "started":
                    ran.begun = event
                else:
                    ran.checks.append(event)
                told(len(ran.checks), ran.collected, event)
    except TimeoutError:
        return True
    return False


def _events(reader: int, seconds: Callable[[], float]) -> Iterator[dict[str, Any]]:
    """As they are written; a TimeoutError where none is for so long."""
    text = b""
    while select.select([reader], [], [], seconds())[0]:
        part = os.read(reader, 65_536)
        if not part:
            return
        *lines, text = (text + part).split(b"\n")
        yield from map(json.loads, lines)
    raise TimeoutError


def _ended(process: subprocess.Popen[Any], seconds: float) -> str:
    """How the process ended, which has some seconds for it; all that it started ends too."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    code = process.wait()
    return f"the process ended with {signal.Signals(-code).name}" if code < 0 else f"its exit status is {code}"
