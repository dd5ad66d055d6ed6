"""The worker process: reads one request, runs one body, answers with events (JSON lines) on a descriptor of its own.

Standard output and error are left to the frameworks, which print what they like.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from recurra.errors import InputError, RecurraError
from recurra.experiment import Experiment
from recurra.progress import Events, Progress
from recurra.store import Artifact, Outcome, Store
from recurra_flows.lifeline import follow

Request = Mapping[str, Any]
BODIES = {
    "train": "recurra_flows.worker:train",
    "evaluate": "recurra_flows.worker:evaluate",
    "probe": "recurra_flows.worker:probe",
    "challenge": "recurra_flows.worker:challenge",
    "generate": "recurra_flows.worker:generate",
    "judge": "recurra_flows.worker:judge",
    "predict": "recurra_flows.predicting:predict",
    "score": "recurra_flows.scoring.worker:score",
    "export": "recurra_flows.exporting:export",
    "devices": "recurra_flows.worker:devices",
}
"""Body -> MODULE:FUNCTION, called with the request and a Progress; what it returns is sent as JSON."""


def main() -> None:
    """Serves the one request on standard input."""
    with os.fdopen(int(sys.argv[1]), "w", encoding="utf-8") as events:
        request = json.loads(sys.stdin.buffer.readline())
        follow(sys.stdin.buffer)
        _serve(request, events)
    # The answer is given; a framework's own exit handlers can take seconds and are of no use to anyone.
    os._exit(0)


def _serve(request: Request, events: TextIO) -> None:
    try:
        value = _body(request["body"])(request, Events(events))
        answer = {"event": "result", "value": value}
    except Exception as error:
        answer = {
            "event": "error",
            "input": isinstance(error, InputError),
            "transient": isinstance(error, OSError),
            "line": str(error) if isinstance(error, RecurraError) else _line(request["body"], error),
            "traceback": traceback.format_exc(),
        }
    with suppress(OSError):  # the log's disk is full
        sys.stdout.flush()
    print(json.dumps(answer), file=events, flush=True)  # whoever reads it ends this process


def _line(body: str, error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"{body}: out of memory ({text}); use a smaller model, train.batch_size or data.size"
    return f"{body}: {type(error).__name__}: {text[:500] or 'no message'} (--debug shows where)"


def _body(name: str) -> Callable[[Request, Progress], Any]:
    module, _, function = BODIES[name].partition(":")
    return getattr(import_module(module), function)


def _given(request: Request) -> tuple[Experiment, Store, dict[str, Artifact]]:
    """The experiment, the store, and the artifacts by the names that the request gives them."""
    store, artifacts = Store(Path(request["store"])), {}
    for name, (stage, key) in request["artifacts"].items():
        found = store.peek(stage, key)
        if found is None:
            raise RecurraError(f"the {name} artifact was removed from the store during the run; run again")
        artifacts[name] = found
    return Experiment.model_validate(request["experiment"]), store, artifacts


def _answer(outcome: Outcome) -> dict[str, Any]:
    made = outcome.artifact
    return {"stage": made.stage, "key": made.key, "hit": outcome.hit, "why": outcome.why, "seconds": outcome.seconds}


def train(request: Request, progress: Progress) -> dict[str, Any]:
    """The train stage. Artifacts: dataset; of a GAN also judge."""
    from recurra import stages

    experiment, store, artifacts = _given(request)
    return _answer(stages.train(experiment, store, progress=progress, **artifacts))


def evaluate(request: Request, progress: Progress) -> dict[str, Any]:
    """The evaluate stage. Artifacts: dataset, training."""
    from recurra import stages

    experiment, store, artifacts = _given(request)
    return _answer(stages.evaluate(experiment, store, progress=progress, **artifacts))


def probe(request: Request, progress: Progress) -> dict[str, Any]:
    """The probe stage. Artifacts: dataset, training."""
    from recurra import stages

    experiment, store, artifacts = _given(request)
    return _answer(stages.probe(experiment, store, progress=progress, **artifacts))


def challenge(request: Request, progress: Progress) -> dict[str, Any]:
    """The challenge stage. Artifacts as in `recurra.stages.challenge_inputs`; `experiment` is the champion's, and
    `challenger` the new network's.
    """
    from recurra import stages

    champion, store, artifacts = _given(request)
    challenger = Experiment.model_validate(request["challenger"])
    return _answer(stages.challenge(challenger, champion, store, artifacts, progress))


def generate(request: Request, progress: Progress) -> dict[str, Any]:
    """The generate stage. Artifacts: dataset, training."""
    from recurra import stages

    experiment, store, artifacts = _given(request)
    return _answer(stages.generate(experiment, store, progress=progress, share=request["share"], **artifacts))


def judge(request: Request, progress: Progress) -> dict[str, Any]:
    """The judge stage. Artifacts: preprocess, recogniser, train, generate, student."""
    from recurra import stages

    experiment, store, artifacts = _given(request)
    return _answer(stages.judge(experiment, store, artifacts, progress))


def devices(request: Request, progress: Progress) -> dict[str, Any]:
    """What a backend's framework is and sees."""
    del progress
    from recurra.registry import load_backend

    backend = load_backend(request["backend"])
    return {
        "devices": [{"name": device.name, "description": device.description} for device in backend.devices()],
        "describe": backend.describe(),
        "capabilities": sorted(backend.capabilities),
    }


if __name__ == "__main__":
    main()
