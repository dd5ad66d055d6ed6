"""Runs the conformance kit on one backend by pytest, and tells every check's outcome as a line of JSON.

python -m recurra.certifying NAME DESCRIPTOR [--quick] [-k WORDS]

It is a process of its own (one framework in a process), started by `recurra plugins check`. DESCRIPTOR is the number of
the open file that events are written to: `code`, `collected`, then `started` and `check` for each, then `end`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import pytest

from recurra.certificate import code_of
from recurra.registry import backend_entry, load_backend


class Recording:
    """A pytest plugin that writes events."""

    def __init__(self, to: IO[str], quick: bool) -> None:
        self.to, self.quick = to, quick
        self.known: dict[str, dict[str, Any]] = {}

    def tell(self, event: str, **values: Any) -> None:
        """Writes one event."""
        self.to.write(json.dumps({"event": event, **values}) + "\n")
        self.to.flush()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leaves the slow checks out where that was asked for, and says how many are left."""
        from recurra.conformance.checks import group_of, in_words, is_slow

        kept = []
        for item in items:
            assert isinstance(item, pytest.Function)
            suite, check = item.cls, item.function
            assert suite is not None
            if self.quick and (is_slow(check) or is_slow(suite)):
                continue
            group = group_of(check, suite)
            self.known[item.nodeid] = {"check": item.name, "words": in_words(item.name), "group": group}
            self.known[item.nodeid] |= {"suite": suite.__mro__[1].__name__, "asks": suite.asks}
            kept.append(item)
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Says how many checks there are."""
        self.tell("collected", checks=len(session.items))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Without pytest's own report nothing else would say why the kit cannot be collected."""
        if report.failed:
            print(_why(report), file=sys.stderr)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """One event for each check before it: who ends this process, or hangs, is then known."""
        self.tell("started", **self.known[nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One event for each check: of its call, or of what failed or skipped before or after it."""
        if report.when == "call" or report.outcome != "passed":
            known = self.known[report.nodeid]
            self.tell("check", **{**known, "asks": [*known["asks"], *asked(report)]}, **outcome(report))


def outcome(report: pytest.TestReport) -> dict[str, Any]:
    """What a report says, as the certificate has it."""
    kind, reason = report.outcome, ""
    expected = getattr(report, "wasxfail", None)
    if expected is not None:
        kind, reason = "expected", str(expected)
    elif report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
    elif report.failed:
        reason = _why(report)
    return {"outcome": kind, "reason": reason, "seconds": round(report.duration, 3), **deviations(report)}


def _why(report: pytest.TestReport | pytest.CollectReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    if text.startswith("[XPASS(strict)]"):
        return f"it passes, and is declared to fail:{text.removeprefix('[XPASS(strict)]')}"
    lines = [line for line in text.removeprefix("AssertionError: ").splitlines() if line.strip()]
    return " ".join(lines[:4])[:600]


def deviations(report: pytest.TestReport) -> dict[str, Any]:
    """How many comparisons there were, and the one that took the largest part of its tolerance."""
    from recurra.conformance.deviation import PROPERTY

    found = [value for name, value in report.user_properties if name == PROPERTY and isinstance(value, Mapping)]
    largest = max(found, key=lambda each: math.inf if each["share"] is None else each["share"], default=None)
    return {"comparisons": len(found), "largest": dict(largest) if largest else None}


def asked(report: pytest.TestReport) -> list[str]:
    """The capabilities that the check asked for."""
    from recurra.conformance.checks import ASKED

    return sorted({str(value) for name, value in report.user_properties if name == ASKED})


def main(argv: list[str]) -> int:
    """pytest's exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("descriptor", type=int)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("-k", dest="words", default="")
    told = parser.parse_args(argv)
    os.environ["RECURRA_CHECKED"] = told.name
    with os.fdopen(told.descriptor, "w") as to, tempfile.TemporaryDirectory() as folder:
        recording = Recording(to, told.quick)
        recording.tell("code", **code_of(backend_entry(told.name)))
        status = int(pytest.main(_arguments(Path(folder), told.words), plugins=[recording]))
        recording.tell("end", status=status, versions=_versions(told.name))
    return status


def _versions(name: str) -> dict[str, str]:
    """What the backend says it runs on; nothing where it cannot say it, which one of the checks found."""
    try:
        return {str(name): str(value) for name, value in load_backend(name).describe().items()}
    except Exception:
        return {}


def _arguments(folder: Path, words: str) -> list[str]:
    # Neither the settings of the folder that we are called in, nor those of one above it.
    (folder / "pytest.ini").write_text("[pytest]\n")
    spec = importlib.util.find_spec("recurra")
    assert spec is not None
    assert spec.origin is not None
    kit = Path(spec.origin).parent / "conformance" / "checked.py"
    own = ["-c", str(folder / "pytest.ini"), "--rootdir", str(folder), "--basetemp", str(folder / "tmp")]
    quiet = ["--noconftest", "-p", "no:cacheprovider", "-p", "no:terminal", "-W", "ignore"]
    return [str(kit), "--import-mode=importlib", *own, *quiet, *(["-k", words] if words else [])]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
