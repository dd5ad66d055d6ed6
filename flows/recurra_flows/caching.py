"""Prefect's cache across runs, made from the store's own keys: what is cached is a reference, checked when read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from inspect import signature
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
_verified: ContextVar[dict[ArtifactRef, float] | None] = ContextVar("verified", default=None)


@contextmanager
def verified_once() -> Iterator[None]:
    """Within the block an artifact's bytes are checked the first time that its reference is read, and not again.

    Prefect reads a cached result more than once.
    """
    token = _verified.set({})
    try:
        yield
    finally:
        _verified.reset(token)


class ArtifactSerializer(Serializer):
    """A reference as JSON. Reading one checks every byte of its artifact, and fails where it is damaged or gone.

    Prefect takes a result that cannot be read for a cache miss, so the stage is then run again.
    """

    type: str = Field(default="recurra-artifact", frozen=True)

    def dumps(self, obj: ArtifactRef | BaseException) -> bytes:
        """The reference without what is true of this run only; of what a task raised, its line, which nobody reads."""
        if isinstance(obj, ArtifactRef):
            return obj.model_dump_json(exclude=PERISHABLE).encode()
        return json.dumps({"raised": f"{type(obj).__name__}: {obj}"}).encode()

    def loads(self, blob: bytes) -> ArtifactRef:
        """The reference as a hit; a RecurraError where its artifact is not what it was."""
        start, known = time.monotonic(), _verified.get()
        ref = ArtifactRef(**json.loads(blob), hit=True, why="unchanged", seconds=0)
        if known is None or ref not in known:
            found = Store(ref.store).find(ref.stage, ref.key)
            if found is None or found.digest != ref.digest:
                raise RecurraError(f"{ref.stage}: artifact {ref.key} is damaged or gone")
        known = {} if known is None else known
        known[ref] = known.get(ref, 0.0) + time.monotonic() - start
        return ref.model_copy(update={"seconds": known[ref]})


@dataclass(kw_only=True)
class StageKey(CachePolicy):
    """The cache key of a task: the name that the store gives to what it makes, and which store it is.

    `made_from` is the function of `recurra.stages` that says what the artifact is made from. The task takes parameters
    of the same names; where the function wants an artifact (or several, by role), the task has a reference.
    """

    stage: str
    made_from: Callable[..., Mapping[str, Any]]

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """The key; None where the stage cannot run, and then says why itself."""
        del task_ctx, flow_parameters, kwargs
        wanted = signature(self.made_from).parameters
        try:
            made_from = self.made_from(**{name: _artifacts(inputs[name]) for name in wanted if name in inputs})
        except RecurraError:
            return None
        return f"{self.stage}-{key_of(made_from)}-{key_of({'store': str(_store(inputs))})[:8]}"


def _artifacts(value: Any) -> Any:
    """The artifact of a reference, or the artifacts of several; any other value as it is."""
    if isinstance(value, ArtifactRef):
        return value.artifact()
    if isinstance(value, dict):
        return {name: _artifacts(inner) for name, inner in value.items()}
    return value


def _store(inputs: Mapping[str, Any]) -> Path:
    for value in inputs.values():
        for ref in value.values() if isinstance(value, dict) else (value,):
            if isinstance(ref, ArtifactRef):
                return ref.store
    return inputs["store"]
