"""`recurra predict`: a run's network on files that have no labels."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recurra_flows.cli import output


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
    from recurra.progress import for_stream
    from recurra.run import Run
    from recurra_flows.answering import predicted

    if not paths:
        raise InputError("predict: name the files or folders to recognise, as in `recurra predict latest photos/`")
    output.check_out(out, ".parquet", ".csv")
    with output.reserved(json):
        answer = predicted(
            Run.open(Home.default(), run), paths, out, backend, for_stream(sys.stderr), output.DEBUG.get()
        )
    if json:
        output.emit(answer)
    else:
        _show(answer)
    return 0


def _show(answer: Mapping[str, Any]) -> None:
    rows = [(row["source"], row["class"], f"{row['confidence']:.3f}") for row in answer["first"]]
    output.table(("source", "class", "confidence"), rows, right=["confidence"])
    if answer["predicted"] > len(rows):
        print(f"... and {answer['predicted'] - len(rows):,} more{'' if answer['out'] else ' (--out FILE keeps all)'}")
    for each in answer["refused"]:
        output.say(f"{each['source']}: {each['reason']}")
    if answer["out"]:
        print(f"predictions {answer['out']}")
