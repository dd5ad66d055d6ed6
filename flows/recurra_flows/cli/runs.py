"""`recurra runs`: what was run, and how each run ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cyclopts import App

from recurra.progress import duration
from recurra_flows.cli import output

if TYPE_CHECKING:
    from recurra.home import Home
    from recurra.planned import Planned
    from recurra.run import Run

app = App(name="runs", help="List runs, or show one.")


@app.command(name="ls")
def list_runs(*, json: output.Json = False) -> int:
    """List the runs, studies, comparisons and sweeps, the oldest first."""
    from recurra.errors import InputError
    from recurra.home import Home
    from recurra.run import Run, run_folders
    from recurra_flows.kinds import PLANNED

    home, rows = Home.default(), []
    for folder in run_folders(home):
        try:
            rows.append(_row(Run.open(home, str(folder))))
        except InputError as error:
            rows.append({"id": folder.name, "status": "unreadable", "error": str(error)})
    for kind in PLANNED:
        for folder in kind.folders(home):
            try:
                rows.append(_planned_row(kind.at(home, folder)))
            except InputError as error:
                rows.append({"id": folder.name, "status": "unreadable", "error": str(error)})
    rows.sort(key=lambda row: row["id"])
    if json:
        output.emit({"home": str(home.path), "runs": rows})
    elif rows:
        measured = ["accuracy", "tstr"] if any(row.get("tstr") is not None for row in rows) else ["accuracy"]
        columns = ("id", "status", "model", "backend", *measured, "started")
        output.table(columns, [[_cell(row.get(column)) for column in columns] for row in rows], right=measured)
    else:
        print(f"no runs in {home.runs}")
    return 0


@app.command
def show(run: str, /, *, json: output.Json = False) -> int:
    """Show a run: its stages, its metrics, its files.

    Parameters
    ----------
    run
        The run's id, its beginning, its folder, or `latest`; or the whole id of a study, a comparison or a sweep.
    """
    from recurra.home import Home

    found = _found(Home.default(), run)
    record = {**found.record, "status": status(found)}
    if json:
        output.emit({"run": str(found.folder), **record})
        return 0
    model, backend = record.get("model", found.NOUN), _backends(found)
    print(f"{found.id}: {model} on {backend}, {record['status']}, started {record['started']}")
    if record.get("error"):
        print(f"error: {record['error']}")
    done = found.done().items()
    stages = [(role, of["cache"], duration(of["seconds"]), of["why"], of["artifact"]) for role, of in done]
    output.table(("stage", "cache", "time", "why", "artifact"), stages, right=["time"])
    for name, value in record.get("metrics", {}).items():
        print(f"{name} {_cell(value)}")
    if record.get("answer"):
        print(record["answer"])
    if record["report"]:
        print(f"report {record['report']}")
    return 0


def _found(home: Home, wanted: str) -> Run:
    from recurra.run import Run
    from recurra_flows.kinds import PLANNED

    for kind in PLANNED:
        for folder in kind.folders(home):
            if folder.name == wanted:
                return kind.at(home, folder)
    return Run.open(home, wanted)


def _backends(run: Run) -> str:
    """The backend, or several."""
    return ",".join(run.record.get("plan", {}).get("backends", ())) or run.experiment.backend


def status(run: Run) -> str:
    """How the run ended; `killed` where it says that it is running and no process holds it."""
    recorded = run.record["status"]
    return "killed" if recorded == "running" and not run.running else recorded


def _row(run: Run) -> dict[str, Any]:
    record = run.record
    return {
        "id": run.id,
        "status": status(run),
        "name": record["name"],
        "model": record["model"],
        "backend": record["backend"],
        "accuracy": record["metrics"].get("accuracy"),
        "tstr": record["metrics"].get("tstr"),
        "started": record["started"],
        "report": record["report"],
        "folder": str(run.folder),
    }


def _planned_row(of: Planned) -> dict[str, Any]:
    record = of.record
    return {
        "id": of.id,
        "status": status(of),
        "name": record["name"],
        "model": of.NOUN,
        "backend": _backends(of),
        "accuracy": None,
        "tstr": None,
        "started": record["started"],
        "report": record["report"],
        "folder": str(of.folder),
    }


def _cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "" if value is None else str(value)
