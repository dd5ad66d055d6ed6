"""What Prefect tasks hand to one another: which artifact, never its data."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from recurra.errors import RecurraError
from recurra.store import Artifact, Outcome, Store


class ArtifactRef(BaseModel):
    """An artifact's place and contents, and how this run came by it."""

    model_config = ConfigDict(frozen=True)

    store: Path
    stage: str
    key: str
    digest: str
    hit: bool
    why: str
    seconds: float

    @classmethod
    def of(cls, store: Path, outcome: Outcome) -> ArtifactRef:
        """The reference to what a stage found or made."""
        artifact = outcome.artifact
        return cls(
            store=store,
            stage=artifact.stage,
            key=artifact.key,
            digest=artifact.digest,
            hit=outcome.hit,
            why=outcome.why,
            seconds=outcome.seconds,
        )

    def artifact(self) -> Artifact:
        """The artifact, by its manifest; its bytes were checked when the reference was made."""
        found = Store(self.store).peek(self.stage, self.key)
        if found is None or found.digest != self.digest:
            raise RecurraError(
                f"{self.stage}: its artifact {self.key} was removed or changed during the run; run again"
            )
        return found

    def outcome(self) -> Outcome:
        """What the run records."""
        return Outcome(self.artifact(), self.hit, self.why, self.seconds)
