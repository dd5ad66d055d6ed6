"""A certificate for people: a table by groups, then what failed and why, and what was not asked."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from recurra.certificate import GROUPS
from recurra_flows.cli import output

if TYPE_CHECKING:
    from recurra_flows.certifying import Told

COLUMNS = ("group", "passed", "skipped", "expected", "failed", "seconds", "nearest to its tolerance")


@contextmanager
def progress(name: str) -> Iterator[Told]:
    """What is told of each check: a bar with its name on a terminal, and a line of each failure anywhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("checking {task.fields[backend]}"), BarColumn(), MofNCompleteColumn())
    parts = (*columns, TextColumn("{task.fields[check]}", markup=False))
    with Progress(*parts, console=output.console(error=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", backend=name, check="", total=None)

        def told(done: int, total: int, check: Mapping[str, Any]) -> None:
            bar.update(task, completed=done, total=total or None, check=check["words"])
            if check.get("outcome") == "failed":
                bar.console.print(f"failed: {check['words']}", markup=False)

        yield told


def show(found: Mapping[str, Any]) -> None:
    """Prints it."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    about = f"{found['backend']} ({found['distribution']} {found['version']}; {versions})"
    print(f"{about}\n")
    output.table(COLUMNS, _rows(found["checks"]), right=COLUMNS[1:6])
    for check in (check for check in found["checks"] if check["outcome"] == "failed"):
        print(f"\nfailed   {check['words']}\n         {check['reason']}")
    for check in (check for check in found["checks"] if check["outcome"] == "expected"):
        print(f"\nexpected {check['words']}\n         {check['reason']}")
    skipped = Counter(check["reason"] for check in found["checks"] if check["outcome"] == "skipped")
    print("".join(f"\nskipped  {count}: {reason}" for reason, count in skipped.items()))
    print(f"\n{_verdict(found)}")


def _rows(checks: list[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    rows = []
    for group in sorted({check["group"] for check in checks}, key=GROUPS.index):
        own = [check for check in checks if check["group"] == group]
        counts = Counter(check["outcome"] for check in own)
        told = [check["largest"] for check in own if check["largest"] and check["outcome"] == "passed"]
        nearest = max(told, key=lambda each: each["share"], default=None)
        numbers = [counts[outcome] or "" for outcome in ("passed", "skipped", "expected", "failed")]
        rows.append((group, *numbers, f"{sum(check['seconds'] for check in own):.1f}", _nearest(nearest)))
    return rows


def _nearest(deviation: Mapping[str, Any] | None) -> str:
    if deviation is None:
        return ""
    return f"{deviation['share']:.1%} of it: {deviation['what']} differs by {deviation['largest']:.2g}"


def _verdict(found: Mapping[str, Any]) -> str:
    counts = found["counts"]
    ran = counts["passed"] + counts["failed"] + counts["expected"]
    if counts["failed"]:
        return f"{counts['failed']} of {ran} checks failed."
    if found["unproven"]:
        return f"Not shown, or for the most part declared to fail: {', '.join(found['unproven'])}."
    if found["verdict"] == "unchecked":
        return f"Nothing was checked: all {counts['skipped']} were skipped."
    only = f" Only part of the kit was asked for ({found['selection']})." if found["selection"] else ""
    claimed = ", ".join(found["capabilities"])
    hold = f"{counts['passed']} checks hold, {counts['expected']} are declared to fail"
    every = hold if counts["expected"] else f"All {ran} checks that were run hold"
    return f"{every}, of a backend that claims {claimed}.{only}"
