"""Why something on the disk cannot be used, whatever the library that reads it says about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from recurra.errors import InputError


class UnreadableError(Exception):
    """One file or row cannot be used; its text is the reason, for the person who has to mend it."""


def _line(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    words = "".join(char if char.isprintable() else " " for char in text).split()
    return " ".join(words)[:160] or type(error).__name__


@contextmanager
def explained(what: str = "") -> Iterator[None]:
    """Turns every exception inside into an UnreadableError with a reason in one line; `what` goes before it.

    Pillow, NumPy, zipfile and pyarrow let SyntaxError, TokenError, struct.error, RuntimeError, UnicodeDecodeError and
    others escape on damaged files, so nothing narrower than Exception would do.
    """
    before = f"{what}: " if what else ""
    try:
        yield
    except InputError:
        raise
    except UnreadableError as error:
        raise UnreadableError(f"{before}{error}") from None
    except FileNotFoundError:
        raise UnreadableError(f"{before}the file is gone") from None
    except PermissionError:
        raise UnreadableError(f"{before}permission to read it is denied") from None
    except IsADirectoryError:
        raise UnreadableError(f"{before}a folder, where a file was expected") from None
    except MemoryError:
        raise UnreadableError(f"{before}too large for the memory of this machine") from None
    except Exception as error:
        raise UnreadableError(f"{before}damaged, or not what its name says ({_line(error)})") from None


@contextmanager
def refusing(what: str, advice: str = "") -> Iterator[None]:
    """As `explained`, for what the whole source hangs on: an InputError that opens with `what`, a file's name."""
    try:
        with explained():
            yield
    except UnreadableError as error:
        raise InputError(f"{what}: {error}{'; ' if advice else ''}{advice}") from None
