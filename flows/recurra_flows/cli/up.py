"""`recurra up`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from recurra_flows.cli import output

if TYPE_CHECKING:
    from recurra.home import Home
    from recurra_flows.project import Project
    from recurra_flows.up.start import Server

Host = Annotated[str | None, Parameter(name="--host", negative=())]
Port = Annotated[int | None, Parameter(name="--port", negative=())]


def up(file: Path | None = None, /, *, host: Host = None, port: Port = None) -> int:
    """Bring up the dashboard, the schedules and what runs them. Ctrl-C ends all of it.

    Parameters
    ----------
    file
        The project file; left out: recurra.yaml, and where there is none, a dashboard without schedules.
    host
        The address that the dashboard is reached at, in place of the project file's.
    port
        Its port; the next free one where that is taken.
    """
    from recurra_flows.project import FILE, Project, load_project

    path = file or Path(FILE)
    there = file is not None or path.exists()
    project = load_project(path) if there else Project()
    if not there:
        output.say(f"no {FILE} here: there are no schedules")
    folder = path.absolute().parent
    return brought_up(project, str(path), folder, path.absolute() if there else None, host, port)


def brought_up(
    project: Project, origin: str, folder: Path, file: Path | None, host: str | None = None, port: int | None = None
) -> int:
    """Runs until Ctrl-C. `host` and `port` count before the project's."""
    from recurra.config import validated
    from recurra_flows.project import Project
    from recurra_flows.up.start import bring_up

    given = {name: value for name, value in {"host": host, "port": port}.items() if value is not None}
    for name in given:
        validated(Project, {name: given[name]}, f"--{name}")
    home = _home(project, folder)
    bring_up(project.model_copy(update=given), origin, folder, home, Board(home), file)
    return 0


def _home(project: Project, folder: Path) -> Home:
    from recurra.home import Home

    return Home.default() if os.environ.get("RECURRA_HOME") else Home((folder / project.data).absolute())


class Board:
    """Shows what goes on, in lines and a table."""

    def __init__(self, home: Home) -> None:
        self._elsewhere = None if type(home).default() == home else home  # before the folder is another
        self._ready = False

    def note(self, line: str) -> None:
        """The line."""
        output.say(line)

    def up(self, where: Server) -> None:
        """The URL."""
        if where.own:
            print(f"dashboard {where.url}", flush=True)
        else:
            print(f"uses the Prefect API {where.api}, and starts no server of its own", flush=True)
        if self._elsewhere:
            print(f"for other commands: export RECURRA_HOME={shlex.quote(str(self._elsewhere.path))}", flush=True)

    def scheduled(self, rows: list[dict[str, str]]) -> None:
        """A table of the schedules."""
        columns = ("name", "flow", "when", "next", "timezone")
        if rows:
            output.table(columns, [[row[column] for column in columns] for row in rows])
        if not self._ready:
            print("Ctrl-C ends it", flush=True)
        self._ready = True
