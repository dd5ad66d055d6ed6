"""Lock files: the kernel keeps a lock for as long as a process has the file open, however that process ends.

flock, not lockf: its lock belongs to the open file, so that a worker inherits it and two threads exclude each other.
Files are opened in a folder that all users write to, so no link, pipe or device is followed, and O_CREAT is never used
on a file that is there (Linux refuses that for another user's, fs.protected_regular).
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from recurra.errors import InputError, RecurraError

LARGEST = 1 << 20
"""Bytes of a file that are read."""
_EXHAUSTED = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOLCK, errno.EIO, errno.ENOMEM}
_guard = threading.RLock()
_ours: set[int] = set()


def _forget() -> None:
    # A forked copy of the process would hold everything for as long as it lives. Workers are not forked: they are
    # given their descriptors.
    for descriptor in _ours:
        with suppress(OSError):
            os.close(descriptor)
    _ours.clear()
    _guard.release()


os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_forget)


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Within the block an OSError becomes one line that names the file and RECURRA_LEASES."""
    try:
        yield
    except OSError as error:
        kind = RecurraError if error.errno in _EXHAUSTED else InputError
        reason = "it is a link" if error.errno == errno.ELOOP else error.strerror or str(error)
        raise kind(
            f"{error.filename or folder}: cannot be used for leases ({reason});"
            " set RECURRA_LEASES to a local folder that everyone who shares this machine can write to"
        ) from error


def make_folder(folder: Path) -> None:
    """The folder is there; a new one is everyone's to write to, and nobody's to clear (mode 1777)."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return
    folder.chmod(0o1777)


def keep_folder(folder: Path) -> int:
    """A descriptor of the folder. While it is open, systemd-tmpfiles removes no old file from there."""
    descriptor = _opened(folder, os.O_RDONLY | os.O_DIRECTORY)
    lock(descriptor, shared=True)
    return descriptor


def take(path: Path, mode: int = 0o666) -> int | None:
    """A descriptor of the file that holds its lock; None where somebody else has it. A missing file is made."""
    while True:
        descriptor = _made(path, mode)
        try:
            if not lock(descriptor):
                close(descriptor)
                return None
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            close(descriptor)
            raise
        close(descriptor)  # it was removed meanwhile: the lock of a file that nobody finds is worth nothing


def held_content(path: Path) -> bytes | None:
    """What is in a file that somebody holds; None where nobody does, or it is missing."""
    try:
        descriptor = _opened(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return None if lock(descriptor, shared=True) else os.pread(descriptor, LARGEST, 0)
    finally:
        close(descriptor)


def rewrite(descriptor: int, data: bytes) -> None:
    """The file holds `data`. Readers take no lock, and find one line of either text."""
    os.pwrite(descriptor, data, 0)
    os.ftruncate(descriptor, len(data))


def lock(descriptor: int, shared: bool = False) -> bool:
    """Whether the lock was free, and is held now."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Frees the lock also where a process that is just being started has a copy of the descriptor, and closes it."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    close(descriptor)


def close(descriptor: int) -> None:
    """Closes one of ours; the lock is free once nobody else has it."""
    with _guard:
        if descriptor in _ours:
            _ours.discard(descriptor)
            os.close(descriptor)


def _made(path: Path, mode: int) -> int:
    while True:
        try:
            return _opened(path, os.O_RDWR)
        except FileNotFoundError:
            pass
        try:
            descriptor = _opened(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            continue
        os.fchmod(descriptor, mode)  # whatever the umask
        return descriptor


def _opened(path: Path, flags: int) -> int:
    with _guard:  # a fork meanwhile would keep it
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, 0o600)
        _ours.add(descriptor)
    if not flags & os.O_DIRECTORY and not stat.S_ISREG(os.fstat(descriptor).st_mode):
        close(descriptor)
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    return descriptor


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False
