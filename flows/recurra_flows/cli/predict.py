"""`recurra predict`: a run's network on files that have no labels."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from recurra_flows.cli import output


def predict(run: str, /, *paths: str, out: Path | None = None, json: output.Json = False) -> int:
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
    """
    from recurra.errors import InputError
    from recurra.home import Home
    from recurra.run import Run

    if not paths:
        raise InputError("predict: name the files or folders to recognise, as in `recurra predict latest photos/`")
    output.check_out(out, ".parquet", ".csv")
    with output.reserved(json):
        answer = _predicted(Run.open(Home.default(), run), paths, out)
    if json:
        output.emit(answer)
    else:
        _show(answer)
    return 0


def _predicted(run: Any, paths: tuple[str, ...], out: Path | None) -> dict[str, Any]:
    from recurra.progress import for_stream
    from recurra_flows.workers import run_worker

    dataset, training = run.artifact("preprocess"), run.artifact("train")
    with TemporaryDirectory() as scratch:
        request = {
            "experiment": run.record["experiment"],
            "store": str(run.home.store.root),
            "keys": {"preprocess": dataset.key, "train": training.key},
            "paths": paths,
            "out": str((out or Path(scratch) / "predictions.parquet").absolute()),
        }
        log = None if output.DEBUG.get() else run.folder / "predict.log"
        answer = run_worker("predict", request, for_stream(sys.stderr), log)
    return {"run": str(run.folder), **answer, "out": str(out) if out else None}


def _show(answer: Mapping[str, Any]) -> None:
    rows = [(row["source"], row["class"], f"{row['confidence']:.3f}") for row in answer["first"]]
    output.table(("source", "class", "confidence"), rows, right=["confidence"])
    if answer["predicted"] > len(rows):
        print(f"... and {answer['predicted'] - len(rows):,} more{'' if answer['out'] else ' (--out FILE keeps all)'}")
    for each in answer["refused"]:
        output.say(f"{each['source']}: {each['reason']}")
    if answer["out"]:
        print(f"predictions {answer['out']}")
