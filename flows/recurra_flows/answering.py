"""A run's network on files that have no labels, in a worker with a device of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from recurra.errors import InputError
from recurra.progress import Progress
from recurra.registry import backend_entry
from recurra.run import Run
from recurra_flows.leased import asked, leased, within
from recurra_flows.workers import kept_log, run_worker


def predicted(
    run: Run, paths: Sequence[str], out: Path | None, backend: str | None, progress: Progress, debug: bool = False
) -> dict[str, Any]:
    """How many samples below the paths were recognised, the first of them, and what could not be read; all of them
    are in `out` (.parquet or .csv). `backend` answers, or the run's own.

    InputError: a GAN's run, one without its artifacts, a backend that is not installed, nothing that could be read.
    """
    experiment = run.experiment
    if experiment.model.kind == "gan":
        raise InputError(f"predict: run {run.id} is a GAN; `recurra generate {run.id} --out DIR` makes samples with it")
    experiment = experiment.model_copy(update={"backend": backend or experiment.backend})
    backend_entry(experiment.backend)  # what is not installed is said before anything is done
    dataset, training = run.artifact("preprocess"), run.artifact("train")
    with TemporaryDirectory() as scratch, kept_log("predict", debug) as log:
        request = {
            "experiment": within(experiment).model_dump(mode="json"),
            "store": str(run.home.store.root),
            "artifacts": {"dataset": [dataset.stage, dataset.key], "training": [training.stage, training.key]},
            "paths": list(paths),
            "out": str((out or Path(scratch) / "predictions.parquet").absolute()),
        }
        with leased(asked(experiment, 1), f"recurra predict {run.id}", progress.note):
            answer = run_worker("predict", request, progress, log)
    return {"run": str(run.folder), **answer, "backend": experiment.backend, "out": str(out) if out else None}
