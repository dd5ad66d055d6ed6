"""`recurra serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from recurra.errors import InputError
from recurra_flows.cli.up import Host, Port, brought_up


def serve(
    file: Path,
    /,
    *overrides: str,
    cron: str | None = None,
    every: str | None = None,
    timezone: str = "UTC",
    flow: str = "retrain",
    overlap: Annotated[str, Parameter(name="--overlap")] = "queue",
    host: Host = None,
    port: Port = None,
) -> int:
    """Run one experiment on a schedule: `recurra up` without a project file. Ctrl-C ends it.

    Parameters
    ----------
    file
        The experiment file (YAML).
    overrides
        Fields to set otherwise, such as train.epochs=20.
    cron
        When: minute, hour, day of the month, month, day of the week, such as "0 2 * * *".
    every
        Or how often: 30s, 15m, 6h, 1d.
    timezone
        Whose clock cron means, such as Europe/Paris.
    flow
        What is run: retrain, run, compare, sweep or augment.
    overlap
        Whether a run waits while another is going on (queue), or is left out (refuse).
    host
        The address that the dashboard is reached at.
    port
        Its port; the next free one where that is taken.
    """
    from recurra.config import load_experiment, parsed_override, validated
    from recurra_flows.project import Project, Schedule

    if (cron is None) == (every is None):
        raise InputError("give one of --cron and --every, such as --cron '0 2 * * *' or --every 15m")
    name = load_experiment(file, overrides).name  # what is wrong with it is said at once
    values: dict[str, Any] = {"flow": flow, "experiment": file.absolute(), "timezone": timezone, "overlap": overlap}
    values |= {"set": dict(map(parsed_override, overrides)), "cron": cron, "every": every}
    validated(Schedule, values, "recurra serve")
    project = validated(Project, {"schedules": {name: values}}, "recurra serve")
    return brought_up(project, "recurra serve", Path.cwd(), None, host, port)
