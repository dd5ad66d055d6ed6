"""Prefect's cache across runs, made from the store's own keys: what is cached is a reference, checked when read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext
from prefect.serializers import Serializer
from pydantic import Field

from recurra.errors import RecurraError
from recurra.store import Store, key_of
from recurra_flows.references import ArtifactRef

PERISHABLE = {"hit", "why", "seconds"}
"""Fields of a reference that are true of one run only."""


class ArtifactSerializer(Serializer):
    """A reference as JSON. Reading one checks every byte of its artifact, and fails where it is damaged or gone.

    Prefect takes a result that cannot be read for a cache miss, so the stage is then run again.
    """

    type: str = Field(default="recurra-artifact", frozen=True)

    def dumps(self, obj: ArtifactRef) -> bytes:
        """The reference without what is true of this run only."""
        return obj.model_dump_json(exclude=PERISHABLE).encode()

    def loads(self, blob: bytes) -> ArtifactRef:
        """The reference as a hit; a RecurraError where its artifact is not what it was."""
        start = time.monotonic()
        ref = ArtifactRef(**json.loads(blob), hit=True, why="unchanged", seconds=0)
        found = Store(ref.store).find(ref.stage, ref.key)
        if found is None or found.digest != ref.digest:
            raise RecurraError(f"{ref.stage}: artifact {ref.key} is damaged or gone")
        return ref.model_copy(update={"seconds": time.monotonic() - start})


@dataclass
class StageKey(CachePolicy):
    """The cache key of a stage: the name that the store gives to its artifact, and which store it is.

    `inputs` takes the task's own parameters by name and imports no framework.
    """

    inputs: Callable[..., Mapping[str, Any]] = dict

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """The key; None where the stage cannot run, and then says why itself."""
        del flow_parameters, kwargs
        try:
            made_from = self.inputs(**inputs)
        except RecurraError:
            return None
        return f"{task_ctx.task.name}-{key_of(made_from)}-{key_of({'store': str(_store(inputs))})[:8]}"


def _store(inputs: Mapping[str, Any]) -> Path:
    for value in inputs.values():
        if isinstance(value, ArtifactRef):
            return value.store
    return inputs["store"]
