"""Who holds a unit, as the unit's lock file says."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Any, Literal

LONGEST = 120
"""Characters of a name that are kept."""


@dataclass(frozen=True)
class Holder:
    """Who has a lease, or waits for one."""

    pid: int
    what: str
    """What it is for: the task run's name."""
    flow: str
    """The flow run's name, or nothing."""
    since: float
    """Seconds since 1970."""

    @property
    def lives(self) -> bool:
        """Whether the process is there. Where it is not, the worker that it started still holds the unit."""
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            return True
        return True

    def __str__(self) -> str:
        return f"{self.what}{f' of {self.flow}' if self.flow else ''} (process {self.pid or 'unknown'})"


UNKNOWN = Holder(0, "somebody", "", 0.0)


@dataclass(frozen=True)
class Holding:
    """One unit, and who has it."""

    kind: Literal["gpu", "core"]
    unit: str
    """A GPU's id, or a core's number."""
    holder: Holder | None
    """None: it is free."""


def encoded(holder: Holder, **more: Any) -> bytes:
    """A holder as one line of JSON, with `more` fields beside its own."""
    fields = {**asdict(holder), "what": _plain(holder.what), "flow": _plain(holder.flow)}
    return (json.dumps({**fields, **more}) + "\n").encode()


def fields_of(data: bytes) -> dict[str, Any]:
    """The fields of such a line; none where it is damaged. Another user may have written it."""
    try:
        fields = json.loads(data.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def decoded(fields: dict[str, Any]) -> Holder:
    """The holder among the fields; UNKNOWN where they are not as ours."""
    try:
        pid, since = int(fields["pid"]), float(fields["since"])
        return Holder(pid if pid > 0 else 0, _plain(str(fields["what"])), _plain(str(fields["flow"])), since)
    except (KeyError, TypeError, ValueError, OverflowError):
        return UNKNOWN


def _plain(text: str) -> str:
    # On one line and without a terminal's control sequences.
    return "".join(letter if letter.isprintable() else "?" for letter in text[:LONGEST])
