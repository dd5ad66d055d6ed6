"""Prefect's server on SQLite without `database is locked`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import set_database_config
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

CACHE = 2000
"""kB of the database that each connection keeps; Prefect's own settings let each of them keep 80,000."""


class Immediate(AioSqliteConfiguration):
    """Every transaction takes the write lock when it begins, and waits for it there.

    Prefect's own begin by reading. One that writes later fails at once where another has written meanwhile: what it
    has read is old, and no waiting mends that (SQLITE_BUSY_SNAPSHOT). Under load its services did so many times a
    minute, each with a traceback, and gave up what they were doing. Reads outside a transaction take no lock.
    """

    def setup_sqlite(self, conn: Any, record: Any) -> None:
        """As Prefect's, but for the cache: some fifteen connections would each come to hold the whole database."""
        super().setup_sqlite(conn, record)
        cursor = conn.cursor()
        cursor.execute(f"PRAGMA cache_size = -{CACHE}")
        cursor.close()

    @asynccontextmanager
    async def begin_transaction(
        self, session: AsyncSession, with_for_update: bool = False
    ) -> AsyncIterator[AsyncSessionTransaction]:
        """As Prefect's, for a transaction that may write."""
        del with_for_update
        async with super().begin_transaction(session, with_for_update=True) as transaction:
            yield transaction


def use_immediate_transactions() -> None:
    """From now on, in this process, where the database is SQLite."""
    url = PREFECT_API_DATABASE_CONNECTION_URL.value()
    if make_url(url).get_backend_name() == "sqlite":
        set_database_config(Immediate(connection_url=url))
