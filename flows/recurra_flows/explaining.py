"""Says of each stage whether it would be a hit, without running any."""

from __future__ import annotations

from typing import Any

from recurra import stages
from recurra.experiment import Experiment
from recurra.run import STAGES
from recurra.store import Artifact, Store, damage, key_of


def explain_stages(experiment: Experiment, store: Store) -> dict[str, dict[str, Any]]:
    """Stage -> `cache` (hit or miss) and `why`. After the first miss the later stages' inputs are not known."""
    found: dict[str, Artifact] = {}
    explained: dict[str, dict[str, Any]] = {}
    for stage in STAGES:
        if len(found) < len(explained):
            waiting = next(name for name in explained if name not in found)
            explained[stage] = {"cache": "miss", "why": f"{waiting} is made first"}
            continue
        inputs = stages.inputs_of(stage, experiment, found)
        artifact = store.peek(stage, key_of(inputs))
        wrong = damage(artifact) if artifact else None
        if artifact is not None and wrong is None:
            found[stage] = artifact
            explained[stage] = {"cache": "hit", "why": "unchanged", "artifact": str(artifact.path)}
        else:
            why = f"the artifact is damaged ({wrong})" if wrong else store.explain(stage, inputs)
            explained[stage] = {"cache": "miss", "why": why}
    return explained
