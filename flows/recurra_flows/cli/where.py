"""The options that say which machines do the work."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from recurra_flows.machines import Wanted


@Parameter(name="*")
@dataclass(frozen=True)
class Where:
    """Which machines do the work."""

    runner: Literal["local", "ray"] = "local"
    """local: processes of this machine; ray: the nodes of a Ray cluster (docs/clusters.md)."""
    address: str | None = None
    """The Ray cluster's: ray://HOST:10001, HOST:6379 on one of its nodes, or auto; left out: RAY_ADDRESS."""
    shared: str | None = None
    """A folder or fsspec URL through which the nodes of a cluster exchange artifacts; left out: RECURRA_SHARED, or
    RECURRA_HOME, which all nodes then have to see under the same name.
    """

    @property
    def wanted(self) -> Wanted:
        """The same, with what the environment says; an InputError where they do not go together."""
        from recurra_flows.machines import Wanted

        shared = self.shared or (os.environ.get("RECURRA_SHARED") or None if self.runner != "local" else None)
        wanted = Wanted(self.runner, self.address, shared)
        wanted.check()
        return wanted


Machines = Annotated[Where, Parameter(name="*")]
