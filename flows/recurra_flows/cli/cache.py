"""`recurra cache`: what the stages have made, whether it is whole, and what nobody needs any more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from recurra.progress import duration
from recurra.wording import size
from recurra_flows.cli import output

app = App(name="cache", help="List, explain, verify or clear what stages have made.")


@app.command(name="ls")
def list_artifacts(*, json: output.Json = False) -> int:
    """List the artifacts: stage, name, size, when each was made."""
    from recurra.home import Home

    store = Home.default().store
    rows: list[dict[str, Any]] = [
        {
            "stage": artifact.stage,
            "key": artifact.key,
            "size": artifact.size,
            "seconds": artifact.seconds,
            "created": artifact.created,
            "path": str(artifact.path),
        }
        for artifact in store.artifacts()
    ]
    if json:
        output.emit({"store": str(store.root), "artifacts": rows})
    elif rows:
        output.table(
            ("stage", "key", "size", "made in", "created"),
            [
                (row["stage"], row["key"], size(row["size"]), duration(row["seconds"]), row["created"])
                for row in sorted(rows, key=lambda row: row["created"])
            ],
            right=["size", "made in"],
        )
        print(f"{len(rows)} artifacts, {size(sum(row['size'] for row in rows))}, in {store.root}")
    else:
        print(f"no artifacts in {store.root}")
    return 0


@app.command
def explain(file: Path, /, *overrides: str, json: output.Json = False) -> int:
    """Say for each stage of an experiment whether it would be a hit, and why, without running it.

    Parameters
    ----------
    file
        The experiment file (YAML).
    overrides
        Fields to set otherwise, such as train.epochs=20.
    """
    from recurra.config import load_experiment
    from recurra.home import Home
    from recurra.registry import backend_entry
    from recurra_flows.explaining import explain_stages

    experiment = load_experiment(file, overrides)
    backend_entry(experiment.backend)
    with output.reserved(json):
        stages = explain_stages(experiment, Home.default())
    if json:
        output.emit({"stages": stages})
    else:
        output.table(
            ("stage", "cache", "why"), [(name, stage["cache"], stage["why"]) for name, stage in stages.items()]
        )
    return 0


@app.command
def verify(*, json: output.Json = False) -> int:
    """Check every byte of every artifact, and set the damaged ones aside; the exit status is 1 if there are any."""
    from recurra.home import Home
    from recurra.store import damage

    store, damaged, checked = Home.default().store, [], 0
    with output.reserved(json):
        for artifact in list(store.artifacts()):
            wrong, checked = damage(artifact), checked + 1
            if wrong is not None:
                store.find(artifact.stage, artifact.key)  # sets it aside
                damaged.append({"stage": artifact.stage, "key": artifact.key, "reason": wrong})
    if json:
        output.emit({"store": str(store.root), "checked": checked, "damaged": damaged})
    else:
        for row in damaged:
            print(f"{row['stage']} {row['key']}: {row['reason']}; set aside, it is made again when it is needed")
        print(f"{checked} artifacts checked, {len(damaged)} damaged")
    return 1 if damaged else 0


@app.command
def gc(
    *,
    days: Annotated[float, Parameter(help="Keep what is younger than this.")] = 30.0,
    dry_run: Annotated[bool, Parameter(negative=(), help="Say what would go, and remove nothing.")] = False,
    json: output.Json = False,
) -> int:
    """Remove artifacts that no run refers to, and what dead or damaged work has left behind."""
    from recurra.errors import InputError
    from recurra.home import Home
    from recurra_flows.clearing import clear

    if not days >= 0:
        raise InputError(f"--days {days:g}: expected 0 or more")
    home = Home.default()
    with output.reserved(json):
        gone = clear(home, days, dry_run)
    total = sum(row["size"] for row in gone)
    if json:
        output.emit({"store": str(home.store.root), "dry_run": dry_run, "removed": gone, "size": total})
    else:
        for row in gone:
            print(f"{size(row['size']):>10}  {row['what']}  ({row['why']})")
        verb = "would be removed" if dry_run else "removed"
        print(f"{len(gone)} {verb}, {size(total)}")
    return 0
