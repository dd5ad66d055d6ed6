"""The queue of those who wait: first come, first served, across threads and processes.

Who waits holds the lock of a ticket, a file with a number. Numbers are given under the lock of `gate`, one above all
that are there. A ticket that nobody holds is dead, for ever, because it was locked before it got its name.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from recurra.devices import lock_files
from recurra.devices.holder import Holder, decoded, encoded, fields_of
from recurra.devices.requests import Request

_TICKET = re.compile(r"ticket-(\d{1,15})-[0-9a-f]{16}")
_UNNUMBERED = re.compile(r"new-[0-9a-f]{16}")


@dataclass(frozen=True)
class Waiting:
    """A request that waits."""

    holder: Holder
    """`since`: when it began to wait."""
    request: Request


@dataclass(frozen=True)
class Ticket:
    """A place in the queue for some of the units; it is given up at the end of a with block."""

    path: Path
    number: int
    units: frozenset[str]
    descriptor: int

    def ahead(self) -> int:
        """How many living requests that could take one of the same units are before this one."""
        return sum(1 for _ in self._ahead())

    def is_first(self) -> bool:
        """Whether no such request is before this one."""
        return next(self._ahead(), None) is None

    def _ahead(self) -> Iterator[dict[str, Any]]:
        for number, path in _tickets(self.path.parent):
            if number >= self.number:
                return
            fields = _living(path)
            if fields is not None and self.units.intersection(_units(fields)):
                yield fields

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with suppress(OSError):  # unlocked it is as good as removed
            self.path.unlink()
        lock_files.close(self.descriptor)


class Queue:
    """The queue that lies in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def join(self, holder: Holder, request: Request, units: Collection[str]) -> Ticket | None:
        """A ticket behind all others; None while somebody else gets one."""
        gate = lock_files.take(self.folder / "gate")
        if gate is None:
            return None
        try:
            return self._numbered(holder, request, frozenset(units))
        finally:
            lock_files.unlock(gate)

    def waiting(self) -> list[Waiting]:
        """The living requests, in their order."""
        found = (_living(path) for _, path in _tickets(self.folder))
        return [Waiting(decoded(fields), _request(fields)) for fields in found if fields is not None]

    def _numbered(self, holder: Holder, request: Request, units: frozenset[str]) -> Ticket:
        self._sweep()
        number = max((number for number, _ in _tickets(self.folder)), default=0) + 1
        token = secrets.token_hex(8)  # no name comes twice, so that nobody removes a living ticket for a dead one
        unnumbered, path = self.folder / f"new-{token}", self.folder / f"ticket-{number:06}-{token}"
        descriptor = lock_files.take(unnumbered, 0o644)
        assert descriptor is not None
        try:
            text = encoded(holder, gpus=request.gpus, cores=request.cores, units=sorted(units))
            lock_files.rewrite(descriptor, text)
            unnumbered.rename(path)
        except BaseException:
            unnumbered.unlink(missing_ok=True)
            lock_files.close(descriptor)
            raise
        return Ticket(path, number, units, descriptor)

    def _sweep(self) -> None:
        # Nobody else is being numbered now: these were left by processes that were killed.
        for path in self.folder.iterdir():
            if _UNNUMBERED.fullmatch(path.name):
                with suppress(OSError):  # another user's
                    path.unlink()


def _tickets(folder: Path) -> list[tuple[int, Path]]:
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted((int(found[1]), path) for path in paths if (found := _TICKET.fullmatch(path.name)))


def _living(path: Path) -> dict[str, Any] | None:
    """A ticket's fields; None where nobody holds it: then it is swept away, if we may."""
    try:
        text = lock_files.held_content(path)
    except OSError:  # a stranger's file of that name
        return None
    if text is None:
        with suppress(OSError):
            path.unlink()
        return None
    return fields_of(text)


def _units(fields: dict[str, Any]) -> list[str]:
    units = fields.get("units")
    return [unit for unit in units if isinstance(unit, str)] if isinstance(units, list) else []


def _request(fields: dict[str, Any]) -> Request:
    counts = (fields.get("gpus"), fields.get("cores"))
    return Request(*(count if isinstance(count, int) else 0 for count in counts))
