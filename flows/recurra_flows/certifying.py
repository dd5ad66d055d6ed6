"""The conformance kit in a process of its own: one framework in a process, and none in this one."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recurra.certificate import certificate, merged
from recurra.errors import InputError, RecurraError
from recurra.registry import backend_entry, load_backend

Told = Callable[[int, int, Mapping[str, Any] | None], None]
"""Is told (checks done, of how many, the check that was done last)."""
AUTHORS = 'pip install "recurra[plugins]"'


def certified(name: str, words: str = "", quick: bool = False, told: Told = lambda *_: None) -> dict[str, Any]:
    """The certificate of the backend of that name; `words` is pytest's expression over the names of checks.

    InputError where there is no such backend, no such check, or pytest is missing; RecurraError where the kit's process
    ended before it was done.
    """
    entry = backend_entry(name)
    backend = load_backend(name)
    if importlib.util.find_spec("pytest") is None:
        raise InputError(f"the conformance kit needs pytest, which is not installed: {AUTHORS}")
    checks, ended = _run(name, words, quick, told)
    if ended["status"] == 4:
        raise InputError(f"-k {words}: expected words joined by and, or, not: -k 'gates or epsilon'")
    if not checks:
        raise InputError(f"-k {words}: no check has that in its name")
    left_out = [f"-k {words}"] if words else []
    selection = " ".join([*left_out, *(["--quick"] if quick else [])])
    return certificate(entry, backend, merged(checks), ended["versions"], selection)


def _run(name: str, words: str, quick: bool, told: Told) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Every check's record, and how the process ended."""
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "recurra.certifying", name, str(writer)]
    command += [*(["--quick"] if quick else []), *(["-k", words] if words else [])]
    # pytest's plugins are the author's own, and the kit wants none of them.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    with tempfile.TemporaryDirectory() as scratch, (Path(scratch) / "log").open("w+") as log:
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        process = subprocess.Popen(command, env=environment, pass_fds=(writer,), **streams)
        os.close(writer)
        try:
            found = _listen(reader, told)
            process.wait()
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        said = [line.strip() for line in log.read().splitlines() if line.strip()]
    if not found[1]:
        last = said[-1] if said else "it said nothing"
        raise RecurraError(f"the process that checks '{name}' ended with status {process.returncode}: {last}")
    return found


def _listen(reader: int, told: Told) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    checks: list[dict[str, Any]] = []
    ended: dict[str, Any] = {}
    total = 0
    with os.fdopen(reader) as events:
        for line in events:
            event = json.loads(line)
            kind = event.pop("event")
            if kind == "collected":
                total = event["checks"]
            elif kind == "end":
                ended = event
            else:
                checks.append(event)
            told(len(checks), total, event if kind == "check" else None)
    return checks, ended
