"""The options that say which machines do the work."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from recurra_flows.machines import Wanted


@dataclass(frozen=True)
class Where:
    """Which machines do the work."""

    runner: Literal["local", "ray"] = "local"
    """local: processes of this machine; ray: the nodes of a Ray cluster (docs/clusters.md)."""
    address: str | None = None
    """The Ray cluster's: ray://HOST:10001, HOST:6379 on one of its nodes, or auto; left out: RAY_ADDRESS."""
    shared: str | None = None
    """A folder or fsspec URL through which the nodes of a cluster exchange artifacts, but no checkpoints: a training
    that is interrupted begins again. Left out: RECURRA_SHARED, or RECURRA_HOME, which all nodes then have to see under
    the same name.
    """

    def wanted(self) -> Wanted:
        """The same, with what the environment says; raises as `Wanted.check`, which knocks at a cluster."""
        from recurra_flows.machines import Wanted

        shared = self.shared
        if self.runner == "ray" and (shared := shared or os.environ.get("RECURRA_SHARED")):
            from recurra_flows.ray.exchange import Exchange

            shared = Exchange(shared).url  # `resume` goes on in another folder
        wanted = Wanted(self.runner, self.address, shared or None)
        wanted.check()
        return wanted


Chosen = Annotated[Where, Parameter(name="*")]
