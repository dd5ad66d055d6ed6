"""What verbs print: tables and text for people, one JSON object for programs, errors beside either."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from recurra.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

DEBUG: ContextVar[bool] = ContextVar("debug", default=False)
"""Whether `--debug` stood on the line."""

Json = Annotated[bool, Parameter(name="--json", negative=())]
"""Print one JSON object on standard output, and nothing else there."""


def say(line: str) -> None:
    """A line on standard error."""
    print(line, file=sys.stderr, flush=True)


def emit(value: Any) -> None:
    """The one JSON object of a `--json` call."""
    print(json.dumps(value, indent=2, default=str))


def check_out(out: Path | None, *suffixes: str, option: str = "--out") -> None:
    """An InputError unless a file of that name can be written, of one of these types; before the work, not after."""
    if out is not None and (out.suffix not in suffixes or not out.absolute().parent.is_dir() or out.is_dir()):
        raise InputError(f"{option} {out}: expected a {' or '.join(suffixes)} file in a folder that exists")


def check_out_folder(out: Path) -> None:
    """An InputError unless a folder of that name is new, in a folder that exists, or empty; before the work."""
    if not out.absolute().parent.is_dir():
        raise InputError(f"--out {out}: {out.absolute().parent} is no folder")
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise InputError(f"--out {out}: it is there already; name a folder that is new or empty")
    if out.is_mount():  # it could not be replaced by the finished one
        raise InputError(f"--out {out}: a file system is mounted there; name a new folder in it")


@contextlib.contextmanager
def reserved(json: bool) -> Iterator[None]:
    """Within the block nothing else reaches standard output where `json` is set; it goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr) if json else contextlib.nullcontext():
        yield


def console(error: bool = False) -> Console:
    """Where text for people goes."""
    from rich.console import Console

    return Console(stderr=error, highlight=False, soft_wrap=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[str] = ()) -> None:
    """A table on standard output; columns named in `right` are aligned to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        shown.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    terminal = Console(highlight=False)
    # A pipe has no width: nothing is folded there.
    Console(highlight=False, width=None if terminal.is_terminal else 10_000).print(shown)
