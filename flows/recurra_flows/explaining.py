"""Says of each stage whether it would be a hit, without running any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from recurra import stages
from recurra.experiment import Experiment
from recurra.gan_source import gan_of, settled
from recurra.home import Home
from recurra.judgement.judges import judge_of
from recurra.run_record import stages_of
from recurra.store import Artifact, damage, key_of

Found = Mapping[str, Artifact]
Plan = dict[str, tuple[str, Callable[[], stages.Inputs]]]
"""Role -> the store's stage, and what its artifact is made from once those before it are found."""


def explain_stages(experiment: Experiment, home: Home) -> dict[str, dict[str, Any]]:
    """Role -> `cache` (hit or miss) and `why`. After the first miss the later stages' inputs are not known."""
    experiment = settled(experiment, home)
    found: dict[str, Artifact] = {}
    explained: dict[str, dict[str, Any]] = {}
    plan, store = _plan(experiment, home, found), home.store
    for role in stages_of(experiment):
        if len(found) < len(explained):
            waiting = next(name for name in explained if name not in found)
            explained[role] = {"cache": "miss", "why": f"{waiting} is made first"}
            continue
        stage, made_from = plan[role]
        inputs = made_from()
        artifact = store.peek(stage, key_of(inputs))
        wrong = damage(artifact) if artifact else None
        if artifact is not None and wrong is None:
            found[role] = artifact
            explained[role] = {"cache": "hit", "why": "unchanged", "artifact": str(artifact.path)}
        else:
            why = f"the artifact is damaged ({wrong})" if wrong else store.explain(stage, inputs)
            explained[role] = {"cache": "miss", "why": why}
    return explained


def _plan(experiment: Experiment, home: Home, found: Found) -> Plan:
    """The stages as the flows join them."""
    source = stages.open_source(experiment, home.path)
    gan = gan_of(experiment, home, source)
    plan: Plan = {
        "preprocess": ("preprocess", lambda: stages.preprocess_inputs(experiment, source)),
        "report": ("report", lambda: stages.report_inputs(experiment, found, gan)),
    }
    if experiment.model.kind == "gan":
        return plan | _of_gan(experiment, judge_of(experiment, source.kind), found)
    if gan is None:
        return plan | _of_recogniser(experiment, "preprocess", found)
    share = experiment.data.augment.generated
    added = _of_samples(gan, judge_of(gan, source.kind), share, found)
    return plan | added | _of_recogniser(experiment, "augment", found)


def _of_recogniser(experiment: Experiment, dataset: str, found: Found) -> Plan:
    return {
        "train": ("train", lambda: stages.train_inputs(experiment, found[dataset])),
        "evaluate": ("evaluate", lambda: stages.evaluate_inputs(experiment, found[dataset], found["train"])),
    }


def _of_gan(gan: Experiment, judge: Experiment, found: Found) -> Plan:
    return {
        "recogniser": ("train", lambda: stages.train_inputs(judge, found["preprocess"])),
        "train": ("train", lambda: stages.train_inputs(gan, found["preprocess"], found["recogniser"])),
        "generate": ("generate", lambda: stages.generate_inputs(gan, found["preprocess"], found["train"], None)),
        "student": ("train", lambda: stages.train_inputs(judge, found["generate"])),
        "evaluate": ("judgement", lambda: stages.judge_inputs(gan, found)),
    }


def _of_samples(gan: Experiment, judge: Experiment, share: float, found: Found) -> Plan:
    return {
        "recogniser": ("train", lambda: stages.train_inputs(judge, found["preprocess"])),
        "gan": ("train", lambda: stages.train_inputs(gan, found["preprocess"], found["recogniser"])),
        "generate": ("generate", lambda: stages.generate_inputs(gan, found["preprocess"], found["gan"], share)),
        "augment": ("augment", lambda: stages.augment_inputs(found["preprocess"], found["generate"])),
    }
