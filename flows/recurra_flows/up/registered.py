"""Which deployments a home has registered, and where: deployments.json.

What a project has no more is removed from Prefect, also where the `recurra up` that registered it was killed.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.exceptions import ObjectNotFound

from recurra.durable import read_json, write_json
from recurra.home import Home


class Registered:
    """The ids of the deployments that a home has registered on one server; `server` is a name for it."""

    def __init__(self, home: Home, server: str) -> None:
        self._file, self._server = home.path / "prefect" / "deployments.json", server

    @property
    def ids(self) -> set[UUID]:
        """All of them, those of earlier times too."""
        with suppress(ValueError, TypeError):
            return {UUID(each) for each in _read(self._file).get(self._server, [])}
        return set()

    def add(self, identity: UUID) -> None:
        """Another one."""
        self._write({*self.ids, identity})

    async def clear(self, client: PrefectClient, wanted: Iterable[UUID]) -> None:
        """Removes all but the wanted ones from Prefect; what a work pool has taken over since is let be."""
        kept = {*wanted}
        for gone in self.ids - kept:
            with suppress(ObjectNotFound):
                if (await client.read_deployment(gone)).work_pool_name is None:
                    await client.delete_deployment(gone)
        self._write(kept)

    def _write(self, ids: set[UUID]) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(self._file, _read(self._file) | {self._server: sorted(map(str, ids))})


def _read(file: Path) -> dict[str, list[str]]:
    with suppress(OSError, ValueError):
        known = read_json(file)
        return known if isinstance(known, dict) else {}
    return {}
