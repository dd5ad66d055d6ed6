"""The same flow where Prefect's server keeps its database in PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

pytestmark = [pytest.mark.prefect, pytest.mark.timeout(600)]
Command = Callable[..., subprocess.CompletedProcess[str]]
AS = {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}
"""PostgreSQL refuses to run as root."""


def _binaries() -> Path:
    """The folder of PostgreSQL's programs: those on the PATH, or those of the package pgserver."""
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    try:
        from importlib.util import find_spec

        package = find_spec("pgserver")
    except (ImportError, ValueError):
        package = None
    folder = Path(package.origin).parent / "pginstall" / "bin" if package and package.origin else Path()
    if not (folder / "initdb").is_file():
        pytest.skip("no PostgreSQL here (initdb on the PATH, or the package pgserver)")
    return folder


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of an empty PostgreSQL database, reached by a socket in the file system."""
    programs = _binaries()
    # A socket's path has room for a hundred letters.
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True)))
        if AS:
            shutil.chown(folder, "nobody")
        data = folder / "data"
        made = _run(programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-sync")
        if made.returncode:
            pytest.skip(f"PostgreSQL cannot be started here: {made.stderr.strip()[-200:]}")
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-F"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            **AS,
        )
        stack.callback(server.wait)
        stack.callback(server.terminate)
        for _ in range(600):
            if _run(programs / "pg_isready", "-h", folder, "-t", "1", "-U", "postgres").returncode == 0:
                break
            assert server.poll() is None
        assert _run(programs / "createdb", "-h", folder, "-U", "postgres", "prefect").returncode == 0
        yield f"postgresql+asyncpg://postgres@/prefect?host={folder}"


def _run(*command: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd="/", **AS)


def test_a_run_and_its_dashboard_are_the_same_with_the_servers_database_in_postgresql(
    recurra: Command, place: Path, database: str
) -> None:
    env = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database}
    done = recurra("run", "e.yaml", "--json", **env)
    assert done.returncode == 0, done.stderr
    again = recurra("run", "e.yaml", "--json", **env)
    assert {stage["cache"] for stage in json.loads(again.stdout)["stages"].values()} == {"hit"}
    assert not list(place.rglob("prefect.db")), "nothing went to SQLite"

    kept = subprocess.run([sys.executable, "-c", KEPT, database], capture_output=True, text=True, timeout=60)
    assert json.loads(kept.stdout) == {
        "runs": [["e/plain", "COMPLETED"], ["e/plain", "COMPLETED"]],
        "artifacts": ["e-plain-metrics", "e-plain-report", "e-plain-training"],
    }, kept.stderr


KEPT = """
import asyncio, json, sys
import asyncpg

async def main():
    connection = await asyncpg.connect(sys.argv[1].replace("+asyncpg", ""))
    runs = await connection.fetch("SELECT name, state_type FROM flow_run ORDER BY created")
    artifacts = await connection.fetch("SELECT key FROM artifact_collection ORDER BY key")
    await connection.close()
    print(json.dumps({"runs": [list(map(str, run)) for run in runs], "artifacts": [each["key"] for each in artifacts]}))

asyncio.run(main())
"""
