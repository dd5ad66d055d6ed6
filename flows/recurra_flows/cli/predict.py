"""`recurra predict`: a run's network on files that have no labels."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from recurra_flows.cli import output

if TYPE_CHECKING:
    from recurra.run import Run


def predict(
    run: str, /, *paths: str, out: Path | None = None, backend: str | None = None, json: output.Json = False
) -> int:
    """Recognise unlabelled files or folders with a run's network, after the run's own preprocessing.

    A file that cannot be read is listed with its reason, and the rest are done.

    Parameters
    ----------
    run
        The run's id, its beginning, its folder, or `latest`.
    paths
        Images or clips, or folders of them.
    out
        Where to write all predictions with their probabilities: a .parquet or .csv file.
    backend
        The backend that answers, where it is not to be the one that was trained; the weights are the same.
    """
    from recurra.errors import InputError
    from recurra.home import Home
    from recurra.run import Run

    if not paths:
        raise InputError("predict: name the files or folders to recognise, as in `recurra predict latest photos/`")
    output.check_out(out, ".parquet", ".csv")
    with output.reserved(json):
        answer = _predicted(Run.open(Home.default(), run), paths, out, backend)
    if json:
        output.emit(answer)
    else:
        _show(answer)
    return 0


def _predicted(run: Run, paths: tuple[str, ...], out: Path | None, backend: str | None) -> dict[str, Any]:
    from recurra.errors import InputError
    from recurra.progress import for_stream
    from recurra.registry import backend_entry
    from recurra_flows.leased import asked, leased, within
    from recurra_flows.workers import kept_log, run_worker

    experiment = run.experiment
    if experiment.model.kind == "gan":
        raise InputError(f"predict: run {run.id} is a GAN; `recurra generate {run.id} --out DIR` makes samples with it")
    experiment = experiment.model_copy(update={"backend": backend or experiment.backend})
    backend_entry(experiment.backend)  # what is not installed is said before anything is done
    dataset, training = run.artifact("preprocess"), run.artifact("train")
    with TemporaryDirectory() as scratch, kept_log("predict", output.DEBUG.get()) as log:
        request = {
            "experiment": within(experiment).model_dump(mode="json"),
            "store": str(run.home.store.root),
            "artifacts": {"dataset": [dataset.stage, dataset.key], "training": [training.stage, training.key]},
            "paths": paths,
            "out": str((out or Path(scratch) / "predictions.parquet").absolute()),
        }
        with leased(asked(experiment, 1), f"recurra predict {run.id}", output.say):
            answer = run_worker("predict", request, for_stream(sys.stderr), log)
    return {"run": str(run.folder), **answer, "backend": experiment.backend, "out": str(out) if out else None}


def _show(answer: Mapping[str, Any]) -> None:
    rows = [(row["source"], row["class"], f"{row['confidence']:.3f}") for row in answer["first"]]
    output.table(("source", "class", "confidence"), rows, right=["confidence"])
    if answer["predicted"] > len(rows):
        print(f"... and {answer['predicted'] - len(rows):,} more{'' if answer['out'] else ' (--out FILE keeps all)'}")
    for each in answer["refused"]:
        output.say(f"{each['source']}: {each['reason']}")
    if answer["out"]:
        print(f"predictions {answer['out']}")
