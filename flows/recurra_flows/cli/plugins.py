"""`recurra plugins`: the installed backends and other plugins, and why one cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra.errors import RecurraError
from recurra_flows.cli import output

if TYPE_CHECKING:
    from recurra.registry import Entry


def plugins(*, json: output.Json = False) -> int:
    """List the installed backends and other plugins. Their own modules are imported for it, and no framework."""
    from recurra.registry import BACKENDS, PLUGINS, entries, extensions

    with output.reserved(json):
        rows = [_row(entry, group) for group in (BACKENDS, PLUGINS) for entry in entries(group)]
        problems = list(extensions().problems)
    if json:
        output.emit({"plugins": rows, "problems": problems})
        return 0
    output.table(
        ("name", "kind", "from", "needs", "can", "state"),
        [
            (
                row["name"],
                row["kind"],
                f"{row['distribution']} {row['version']}",
                _needs(row),
                ", ".join(row["capabilities"]),
                row["problem"] or "usable",
            )
            for row in rows
        ],
    )
    for problem in problems:
        print(problem)
    return 0


def _row(entry: Entry, group: str) -> dict[str, Any]:
    from recurra.registry import BACKENDS

    capabilities, failure = _loaded(entry) if group == BACKENDS and not entry.problem else ([], "")
    problem = entry.problem or failure
    return {
        "name": entry.name,
        "kind": "backend" if group == BACKENDS else "plugin",
        "distribution": entry.distribution,
        "version": entry.version,
        "requires": {name: entry.versions.get(name) for name in entry.requirements},
        "capabilities": capabilities,
        "usable": not problem,
        "problem": problem,
    }


def _loaded(entry: Entry) -> tuple[list[str], str]:
    """What a backend that seems complete can do, and why it cannot be loaded; one of both is empty."""
    from recurra.registry import load_backend

    try:
        return sorted(load_backend(entry.name).capabilities), ""
    except Exception as error:  # its own code, so anything
        text = str(error) if isinstance(error, RecurraError) else f"{type(error).__name__}: {error}"
        return [], " ".join(text.split())


def _needs(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version or '(missing)'}" for name, version in row["requires"].items())
