"""`recurra champion`: which network is in use under a name, what was decided so far, and the way back."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cyclopts import App

from recurra_flows.cli import output

if TYPE_CHECKING:
    from recurra.champion.record import Record
    from recurra.home import Home

app = App(name="champion", help="Show the network in use, or go back to an earlier one.")


@app.command(name="ls")
def list_champions(*, json: output.Json = False) -> int:
    """List the champions: the run in use, since when, its accuracy."""
    from recurra.champion.record import champions
    from recurra.errors import InputError
    from recurra.home import Home

    home, rows = Home.default(), []
    for name in champions(home):
        try:
            rows.append(_row(home, name))
        except InputError as error:
            rows.append({"name": name, "run": None, "error": str(error)})
    if json:
        output.emit({"home": str(home.path), "champions": rows})
    elif rows:
        columns = ("name", "run", "accuracy", "since", "decisions")
        output.table(columns, [[_cell(row.get(each)) for each in columns] for row in rows], right=["accuracy"])
        for row in rows:
            if "error" in row:
                output.say(row["error"])
    else:
        print(f"no champions in {home.path / 'champions'}; the flow `retrain` makes them")
    return 0


@app.command
def show(name: str, /, *, json: output.Json = False) -> int:
    """Show a champion: the run in use and why, and every decision, the newest last.

    Parameters
    ----------
    name
        The champion's name, which `recurra champion ls` lists.
    """
    from recurra.champion.record import existing, folder_of
    from recurra.home import Home

    home = Home.default()
    record = existing(home, name)
    if json:
        output.emit({"folder": str(folder_of(home, name)), **record.to_json()})
        return 0
    reign = record.reign
    assert reign is not None  # one that exists has one
    print(f"{name}: run {reign.network.run}, {reign.decision} {reign.at}: {reign.why}")
    print(f"accuracy {_cell(reign.network.metrics['accuracy'])} on {reign.network.test['samples']:,} test samples")
    rows = [(each.at, each.decision, each.network.run, each.why) for each in record.history]
    output.table(("when", "decision", "run", "why"), rows)
    for line in record.history[-1].alarms:
        print(f"drift: {line}")
    return 0


@app.command
def rollback(name: str, /, *, to: str | None = None, json: output.Json = False) -> int:
    """Go back to an earlier champion. The network that is given up is not promoted again; a new training can be.

    Parameters
    ----------
    name
        The champion's name.
    to
        The run to go back to, or its beginning; left out: the champion before this one.
    """
    from recurra.champion.rollback import roll_back
    from recurra.home import Home

    decision = roll_back(Home.default(), name, to)
    if json:
        output.emit({"name": name, "run": decision.network.run, "before": decision.before, **asdict(decision)})
    else:
        print(f"{name}: run {decision.network.run} is the champion again, in place of {decision.before}")
    return 0


def _row(home: Home, name: str) -> dict[str, Any]:
    from recurra.champion.record import existing

    record: Record = existing(home, name)
    reign = record.reign
    assert reign is not None  # one that exists has one
    return {
        "name": name,
        "run": reign.network.run,
        "accuracy": reign.network.metrics.get("accuracy"),
        "since": reign.at,
        "decisions": len(record.history),
    }


def _cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "" if value is None else str(value)
