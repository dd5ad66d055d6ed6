"""Where recurra keeps what it makes: the artifact store, the runs, downloads. `RECURRA_HOME`, by default ./data."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from recurra.store import Store


@dataclass(frozen=True)
class Home:
    """One home folder."""

    path: Path

    @classmethod
    def default(cls) -> Home:
        """The folder that `RECURRA_HOME` names, or `data` in the current one."""
        return cls(Path(os.environ.get("RECURRA_HOME") or "data").absolute())

    @property
    def store(self) -> Store:
        """The artifact store."""
        return Store(self.path / "store")

    @property
    def runs(self) -> Path:
        """The folder of the runs."""
        return self.path / "runs"
