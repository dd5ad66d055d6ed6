"""`recurra plugins`: the installed backends and other plugins, and why one cannot be used."""

from __future__ import annotations

from typing import Any

from recurra_flows.cli import output


def plugins(*, json: output.Json = False) -> int:
    """List the installed backends and other plugins. Nothing of a backend is imported for it."""
    from recurra.registry import BACKENDS, PLUGINS, entries, extensions

    rows: list[dict[str, Any]] = [
        {
            "name": entry.name,
            "kind": "backend" if group == BACKENDS else "plugin",
            "distribution": entry.distribution,
            "version": entry.version,
            "requires": {name: entry.versions.get(name) for name in entry.requirements},
            "usable": not entry.problem,
            "problem": entry.problem,
        }
        for group in (BACKENDS, PLUGINS)
        for entry in entries(group)
    ]
    problems = list(extensions().problems)
    if json:
        output.emit({"plugins": rows, "problems": problems})
        return 0
    output.table(
        ("name", "kind", "from", "needs", "state"),
        [
            (
                row["name"],
                row["kind"],
                f"{row['distribution']} {row['version']}",
                _needs(row),
                row["problem"] or "usable",
            )
            for row in rows
        ],
    )
    for problem in problems:
        print(problem)
    return 0


def _needs(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version or '(missing)'}" for name, version in row["requires"].items())
