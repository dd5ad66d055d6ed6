"""What is installed and what state it is in. Each plugin is asked in a process of its own, so that one that prints,
hangs or ends its process is a row like the others.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from recurra.errors import RecurraError
from recurra.extensions import extension_problems
from recurra.registry import BACKENDS, PLUGINS, Entry, entries, handed_over, unfit

SECONDS = 10.0
"""How long plugins may take to be loaded, all of them together."""
State = Literal["usable", "blocked", "clash", "missing", "broken"]


@dataclass(frozen=True)
class Listed:
    """One plugin, as far as it could be found out."""

    entry: Entry
    contract: tuple[int, int] | None = None
    capabilities: tuple[str, ...] = ()
    failure: str = ""
    """Why it cannot be loaded, or what is wrong with it."""

    @property
    def problem(self) -> str:
        """Why it cannot be used; empty where it can."""
        return self.entry.problem or self.failure

    @property
    def state(self) -> State:
        """In a word."""
        if self.entry.blocked:
            return "blocked"
        if self.entry.clash:
            return "clash"
        return "missing" if self.entry.missing else "broken" if self.failure else "usable"


def listing(seconds: float = SECONDS) -> list[Listed]:
    """Every installed backend, then every other plugin. Imports the entry modules, and no framework."""
    found = [entry for group in (BACKENDS, PLUGINS) for entry in entries(group)]
    if not hasattr(os, "fork"):
        return [_of(entry, {} if entry.problem else _answer(entry)) for entry in found]
    asked = {number: _ask(entry) for number, entry in enumerate(found) if not entry.problem}
    deadline = time.monotonic() + seconds
    answers = {number: _read(pid, pipe, deadline, seconds) for number, (pid, pipe) in asked.items()}
    return [_of(entry, answers.get(number, {})) for number, entry in enumerate(found)]


def _of(entry: Entry, answer: Mapping[str, Any]) -> Listed:
    contract = answer.get("contract")
    capabilities = tuple(answer.get("capabilities", ()))
    return Listed(entry, tuple(contract) if contract else None, capabilities, answer.get("failure", ""))


def _answer(entry: Entry) -> dict[str, Any]:
    """What the plugin says of itself, as JSON can hold it."""
    try:
        if entry.group != BACKENDS:
            return {"failure": "; ".join(extension_problems(entry))}
        backend = handed_over(entry)
        return {
            "contract": list(backend.contract),
            "capabilities": sorted(map(str, backend.capabilities)),
            "failure": unfit(backend, entry),
        }
    except Exception as error:  # its own code, so anything
        text = str(error) if isinstance(error, RecurraError) else f"{type(error).__name__}: {error}"
        return {"failure": " ".join(text.split())}


def _ask(entry: Entry) -> tuple[int, int]:
    """The process that loads the plugin, and where its answer can be read. A fork costs milliseconds."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:  # the child, which never returns; what it starts belongs to its session
        os.setsid()
        os.dup2(2, 1)
        with os.fdopen(writer, "w") as pipe:
            json.dump(_answer(entry), pipe)
    finally:
        os._exit(0)


def _read(pid: int, pipe: int, deadline: float, seconds: float) -> dict[str, Any]:
    """What a process answered; why there is no answer, where it ended without one or takes too long."""
    text = b""
    try:
        while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
            part = os.read(pipe, 65_536)
            text += part
            # An object is whole or no JSON; the end of the pipe may be held open by what the plugin started.
            with contextlib.suppress(ValueError):
                return json.loads(text)
            if not part:
                break
        else:
            return {"failure": f"it was not loaded within {seconds:g} s"}
    finally:
        os.close(pipe)
        status = _ended(pid)
    code = os.waitstatus_to_exitcode(status)
    how = f"signal {-code}" if code < 0 else f"exit status {code}"
    return {"failure": f"it ended the process that loaded it ({how})"}


def _ended(pid: int) -> int:
    """Ends a process that was asked, and all that it started; the status that it ended with."""
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):  # it had no time to begin a session
        os.killpg(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]
