"""Keeps the home folder in order: damaged artifacts set aside, what nobody needs removed, and says what it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from prefect.artifacts import create_markdown_artifact

from recurra.home import Home
from recurra.report.plotting import plain
from recurra.store import Store, damage
from recurra.wording import size
from recurra_flows.clearing import clear
from recurra_flows.telling import tell

LISTED = 50
"""Rows of a table at most; the rest is counted."""
Rows = Sequence[Mapping[str, Any]]


def maintained(home: Home, days: float, verify: bool, dry_run: bool) -> str:
    """Verifies, clears, and publishes what was done as a markdown artifact of the flow run. Returns its first line."""
    checked, damaged = verified(home.store, dry_run) if verify else (0, [])
    gone = clear(home, days, dry_run)
    headline = _headline(checked if verify else None, damaged, gone, dry_run)
    tell(headline)
    create_markdown_artifact(page(headline, damaged, gone, dry_run), "maintenance", "What the maintenance did")
    return headline


def verified(store: Store, dry_run: bool = False) -> tuple[int, list[dict[str, Any]]]:
    """(artifacts whose every byte was checked, the damaged ones: `stage`, `key`, `reason`), which are set aside; with
    `dry_run` they stay where they are.
    """
    damaged, checked = [], 0
    then = "it would be set aside" if dry_run else "set aside, it is made again when it is needed"
    for artifact in list(store.artifacts()):
        wrong, checked = damage(artifact), checked + 1
        # Another process may just have taken it away, or made it anew.
        there = wrong is not None and artifact.path.is_dir()
        if there and (dry_run or store.find(artifact.stage, artifact.key) is None):
            tell(f"warning: {artifact.stage} {artifact.key}: {wrong}; {then}")
            damaged.append({"stage": artifact.stage, "key": artifact.key, "reason": wrong})
    return checked, damaged


def _headline(checked: int | None, damaged: Rows, gone: Rows, dry_run: bool) -> str:
    said = "" if checked is None else f"{checked} artifacts checked, {len(damaged)} damaged; "
    verb = "would be removed" if dry_run else "removed"
    return f"{said}{len(gone)} {verb}, {size(sum(row['size'] for row in gone))}"


def page(headline: str, damaged: Rows, gone: Rows, dry_run: bool) -> str:
    """What was done, or would be, as Markdown."""
    lines = [f"# {headline}", ""]
    if damaged:
        lines += ["## Damaged" if dry_run else "## Damaged, set aside", ""]
        lines += ["| Stage | Artifact | What is wrong |", "| --- | --- | --- |"]
        lines += [f"| {row['stage']} | {row['key']} | {plain(row['reason'])} |" for row in damaged[:LISTED]]
        lines += [*_more(damaged), ""]
    if gone:
        lines += ["## Would be removed" if dry_run else "## Removed", "", "| Why | How many |", "| --- | ---: |"]
        lines += [f"| {plain(why)} | {count} |" for why, count in Counter(row["why"] for row in gone).most_common()]
        lines += ["", "| What | Why | Size |", "| --- | --- | ---: |"]
        largest = sorted(gone, key=lambda row: -row["size"])
        lines += [f"| {plain(row['what'])} | {plain(row['why'])} | {size(row['size'])} |" for row in largest[:LISTED]]
        lines += _more(gone)
    return "\n".join(lines) + "\n"


def _more(rows: Rows) -> list[str]:
    return ["", f"... and {len(rows) - LISTED} more"] if len(rows) > LISTED else []
