"""Why something on the disk cannot be used, whatever the library that reads it says about it."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from recurra.errors import InputError, RecurraError

_OF_THE_FILE = frozenset(
    {
        errno.ENOENT,
        errno.EACCES,
        errno.EPERM,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENXIO,
        # What a damaged file's offsets lead to: a place that no file can have.
        errno.EINVAL,
        errno.EOVERFLOW,
    }
)
_FULL = (errno.ENOSPC, errno.EDQUOT)


class UnreadableError(Exception):
    """One file or row cannot be used; its text is the reason, for the person who has to mend it."""


def _line(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    words = "".join(char if char.isprintable() else " " for char in text).split()
    return " ".join(words)[:160] or type(error).__name__


def is_of_the_machine(error: OSError) -> bool:
    """Whether the disk, the network or the system failed rather than the file: another try may go well."""
    # The errors that libraries raise of themselves, for what a file holds, have no number.
    return error.errno is not None and error.errno not in _OF_THE_FILE


def _failed(error: OSError, file: str | os.PathLike[str] | None) -> NoReturn:
    if error.errno in _FULL:
        room = f"{tempfile.gettempdir()}: no room to unpack {file or 'the source'}"
        raise RecurraError(f"{room} ({error.strerror}); set TMPDIR to a folder with more") from error
    if file is not None and error.filename is None:
        raise OSError(error.errno, error.strerror, os.fspath(file)) from error
    raise error


@contextmanager
def explained(what: str = "", file: str | os.PathLike[str] | None = None) -> Iterator[None]:
    """Turns what a file is to blame for into an UnreadableError with a reason in one line; `what` goes before it.

    What the machine is to blame for stays what it is (MemoryError, an OSError such as EIO, naming the `file`): were it
    the sample's, a bad minute of a disk would leave a smaller dataset behind. A full disk is a RecurraError.

    Pillow, NumPy, zipfile and pyarrow let SyntaxError, TokenError, struct.error, RuntimeError, UnicodeDecodeError and
    others escape on damaged files, so nothing narrower than Exception would do.
    """
    before = f"{what}: " if what else ""
    try:
        yield
    except (RecurraError, MemoryError):
        raise
    except UnreadableError as error:
        raise UnreadableError(f"{before}{error}") from None
    except FileNotFoundError:
        raise UnreadableError(f"{before}the file is gone") from None
    except PermissionError:
        raise UnreadableError(f"{before}permission to read it is denied") from None
    except IsADirectoryError:
        raise UnreadableError(f"{before}a folder, where a file was expected") from None
    except Exception as error:
        if isinstance(error, OSError) and is_of_the_machine(error):
            _failed(error, file)
        raise UnreadableError(f"{before}damaged, or not what its name says ({_line(error)})") from None


@contextmanager
def refusing(what: str, advice: str = "") -> Iterator[None]:
    """As `explained`, for what the whole source hangs on: an InputError that opens with `what`, a file's name."""
    try:
        with explained(file=what):
            yield
    except UnreadableError as error:
        raise InputError(f"{what}: {error}{'; ' if advice else ''}{advice}") from None
