"""References in Prefect's cache: checked once a run, and no warning for what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from recurra import store
from recurra.errors import RecurraError
from recurra.store import Outcome, Store
from recurra_flows.caching import ArtifactSerializer, verified_once
from recurra_flows.references import ArtifactRef


@pytest.fixture
def outcome(tmp_path: Path) -> Outcome:
    return Store(tmp_path).obtain("train", {}, _fill)


def _fill(folder: Path) -> None:
    (folder / "f").write_text("x")


def test_within_a_run_an_artifacts_bytes_are_read_once_and_the_seconds_add_up(
    tmp_path: Path, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []
    monkeypatch.setattr(store, "damage", lambda artifact: checked.append(artifact.key))
    serializer = ArtifactSerializer()
    blob = serializer.dumps(ArtifactRef.of(tmp_path, outcome))
    with verified_once():
        first, second = serializer.loads(blob), serializer.loads(blob)
    assert len(checked) == 1
    assert second.seconds >= first.seconds > 0
    serializer.loads(blob)
    assert len(checked) == 2


def test_a_damaged_artifact_is_no_hit_in_the_next_run(tmp_path: Path, outcome: Outcome) -> None:
    serializer = ArtifactSerializer()
    blob = serializer.dumps(ArtifactRef.of(tmp_path, outcome))
    with verified_once():
        serializer.loads(blob)
    (outcome.artifact.path / "f").write_text("y")
    with verified_once(), pytest.raises(RecurraError, match="damaged or gone"):
        serializer.loads(blob)


def test_what_a_task_raised_can_be_written() -> None:
    assert b"ValueError: wrong" in ArtifactSerializer().dumps(ValueError("wrong"))
