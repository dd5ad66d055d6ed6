"""Where recurra keeps what it makes: the artifact store, the runs, downloads. `RECURRA_HOME`, by default ./data."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from recurra.errors import InputError
from recurra.store import Store


@dataclass(frozen=True)
class Home:
    """One home folder."""

    path: Path

    @classmethod
    def default(cls) -> Home:
        """The folder that `RECURRA_HOME` names, or `data` in the current one."""
        return cls(Path(os.environ.get("RECURRA_HOME") or "data").absolute())

    def made(self) -> Home:
        """Itself, its folder there; an InputError where that cannot be made or written to."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            reason = "" if os.access(self.path, os.W_OK) else "it cannot be written to"
        except OSError as error:
            reason = "it is no folder" if isinstance(error, FileExistsError) else error.strerror or str(error)
        if reason:
            raise InputError(f"{self.path}: cannot be used ({reason}); set RECURRA_HOME to a folder of yours")
        return self

    @property
    def store(self) -> Store:
        """The artifact store."""
        return Store(self.path / "store")

    @property
    def runs(self) -> Path:
        """The folder of the runs."""
        return self.path / "runs"
