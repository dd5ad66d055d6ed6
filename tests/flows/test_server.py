"""The server of a run's own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from recurra_flows.sqlite_database import Immediate

pytestmark = pytest.mark.prefect
OWNER = """
from recurra_flows import api
wait = api.serve(print)
wait()
print("ready", flush=True)
input()
"""


def test_it_is_gone_when_the_process_that_started_it_is_killed(place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() in ("Prefect prepares its database (only once) ...\n", "ready\n")
            (server,) = psutil.Process(owner.pid).children()
            assert "recurra_flows.server" in server.cmdline()
        finally:
            owner.kill()
    assert _gone(server)


def _gone(process: psutil.Process) -> bool:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


async def _two_that_meet(config: AioSqliteConfiguration) -> int:
    """How many rows there are when two transactions that read and then write have begun at the same time."""
    engine = await config.engine()

    async def one() -> None:
        session = await config.session(engine)
        async with session, config.begin_transaction(session):
            await session.execute(text("SELECT count(*) FROM rows"))
            await asyncio.sleep(0.2)  # the other one is here too
            await session.execute(text("INSERT INTO rows VALUES (1)"))

    try:
        session = await config.session(engine)
        async with session, config.begin_transaction(session, with_for_update=True):
            await session.execute(text("CREATE TABLE rows (n INTEGER)"))
        await asyncio.gather(one(), one())
        async with await config.session(engine) as session:
            return int((await session.execute(text("SELECT count(*) FROM rows"))).scalar_one())
    finally:
        await engine.dispose()


def test_transactions_that_meet_wait_for_one_another_where_prefects_own_fail(tmp_path: Path) -> None:
    assert asyncio.run(_two_that_meet(Immediate(connection_url=f"sqlite+aiosqlite:///{tmp_path}/a.db"))) == 2
    with pytest.raises(OperationalError, match="locked"):
        asyncio.run(_two_that_meet(AioSqliteConfiguration(connection_url=f"sqlite+aiosqlite:///{tmp_path}/b.db")))
