"""Whether `recurra up` is up in a home, and where: up.json, which counts while its writer holds up.lock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from recurra.durable import read_json, write_json
from recurra.errors import InputError
from recurra.home import Home


@dataclass(frozen=True)
class UpRecord:
    """A `recurra up`."""

    url: str
    """Of its dashboard, for a person; from other machines too where they are let in."""
    api: str
    """Of its API, for programs on this machine."""
    pid: int
    own: bool = True
    """Whether the server is its own, rather than one that the user chose."""


@contextmanager
def up_lock(home: Home) -> Iterator[None]:
    """Holds the home for one `recurra up`; an InputError that names the other where there is one.

    The kernel frees it however the holder ends.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(home.path / "up.lock")
    try:
        lock.acquire(timeout=1)  # longer than a look by `standing` takes
    except Timeout:
        other = _read(home)
        where = f" at {other.url} (pid {other.pid})" if other else ""
        raise InputError(
            f"recurra is up already in {home.path}{where}; stop that one first, or use its dashboard"
        ) from None
    try:
        _file(home).unlink(missing_ok=True)  # of one that was killed
        yield
    finally:
        _file(home).unlink(missing_ok=True)
        lock.release()


def record_up(home: Home, url: str, api: str, own: bool) -> None:
    """Says where this process's dashboard and its API are; for who holds the lock."""
    write_json(_file(home), asdict(UpRecord(url, api, os.getpid(), own)))


def standing(home: Home) -> UpRecord | None:
    """The `recurra up` that is up in the home now."""
    from filelock import FileLock, Timeout

    record = _read(home)
    if record is None:
        return None
    try:
        with FileLock(home.path / "up.lock", timeout=0):
            return None  # nobody holds it: it was killed
    except Timeout:
        return record
    except OSError:  # another user's: whether it answers is found out by asking
        return record


def _file(home: Home) -> Path:
    return home.path / "up.json"


def _read(home: Home) -> UpRecord | None:
    with suppress(OSError, ValueError, TypeError):
        return UpRecord(**read_json(_file(home)))
    return None
