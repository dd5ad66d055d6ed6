"""`recurra plugins`: the installed backends and other plugins, why one cannot be used, and whether one is right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from recurra_flows.cli import output

if TYPE_CHECKING:
    from recurra.listing import Listed

app = App(name="plugins", help="List, check and start backends and other plugins.")


@app.default
def list_plugins(*, json: output.Json = False) -> int:
    """List the installed backends and other plugins. Their own modules are imported for it, and no framework.

    RECURRA_PLUGINS_DENY and RECURRA_PLUGINS_ALLOW, names of plugins or distributions separated by commas, keep plugins
    from being imported, here and everywhere.
    """
    from recurra.listing import listing

    with output.reserved(json):
        rows = [_row(listed) for listed in listing()]
    if json:
        output.emit({"plugins": rows, "problems": [row["problem"] for row in rows if row["problem"]]})
        return 0
    output.table(
        ("name", "kind", "from", "contract", "needs", "can", "state"),
        [
            (
                row["name"],
                row["kind"],
                f"{row['distribution']} {row['version']}",
                _range(row["contract"]),
                ", ".join(f"{name} {version or '(missing)'}" for name, version in row["requires"].items()),
                ", ".join(row["capabilities"]),
                f"{row['state']}: {row['problem']}" if row["problem"] else row["state"],
            )
            for row in rows
        ],
    )
    return 0


def _row(listed: Listed) -> dict[str, Any]:
    from recurra.registry import BACKENDS

    entry = listed.entry
    return {
        "name": entry.name,
        "kind": "backend" if entry.group == BACKENDS else "plugin",
        "distribution": entry.distribution,
        "version": entry.version,
        "contract": list(listed.contract) if listed.contract else None,
        "requires": {name: entry.versions.get(name) for name in entry.requirements},
        "capabilities": list(listed.capabilities),
        "state": listed.state,
        "usable": not listed.problem,
        "problem": listed.problem,
    }


def _range(contract: list[int] | None) -> str:
    return "" if contract is None else "-".join(str(end) for end in dict.fromkeys(contract))


@app.command
def check(
    name: str,
    /,
    *,
    words: Annotated[str, Parameter(name=("-k", "--words"))] = "",
    quick: Annotated[bool, Parameter(negative=())] = False,
    certificate: Path | None = None,
    json: output.Json = False,
) -> int:
    """Hold a backend to the conformance kit. The exit status is 0 only if no check failed.

    Parameters
    ----------
    name
        The backend's name, which `recurra plugins` lists.
    words
        Only checks with these words in their names: `gates`, `'epsilon or dropout'`.
    quick
        Leave out the slow checks: whole trainings, several devices, other processes.
    certificate
        Write the outcome here as JSON, with versions, tolerances and the largest deviations.
    """
    from recurra.durable import write_json
    from recurra_flows.certifying import certified
    from recurra_flows.cli.certificate import progress, show

    if certificate is not None:
        output.check_out(certificate, ".json", option="--certificate")
    with output.reserved(json), progress(name) as told:
        found = certified(name, words, quick, told)
    if certificate is not None:
        write_json(certificate, found)
    if json:
        output.emit(found)
    else:
        show(found)
    return 1 if found["verdict"] == "failed" else 0


@app.command
def new(
    name: str,
    /,
    *,
    into: Path = Path(),
    author: str = "",
    license: str = "MIT",
    json: output.Json = False,
) -> int:
    """Start a backend: a package that works, with its tests, to be replaced part by part.

    Parameters
    ----------
    name
        The backend's name: small letters, digits and dashes.
    into
        The folder in which the package's own folder is made.
    author
        Your name, for its pyproject.toml.
    license
        An SPDX expression, for its pyproject.toml.
    """
    from recurra_flows.starting import start

    made = start(name, into, author, license)
    if json:
        output.emit({"folder": str(made), "name": name})
        return 0
    print(f"{made} is a backend that works. Next:\n")
    print(f'  pip install --editable "{made}[engine,test]"\n  recurra plugins check {name}')
    return 0
