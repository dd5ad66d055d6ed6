"""The worker's body for `recurra score`: new files of an inbox, in batches, each a part that is whole or not there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recurra.evaluation import trained
from recurra.progress import Progress
from recurra.scoring.batch import Batch, Origin, batches
from recurra_flows.predicting import given, prepared


def score(request: Mapping[str, Any], progress: Progress) -> int:
    """Leaves a part in `folder` for each batch; a task of its own ends with each. Answers how many batches there were.

    request: `experiment`, `store`, `artifacts` (dataset, training), `run`, `inbox`, `todo` (the listing of what is to
    be scored, an Arrow file), `rows` (from, to), `batch` (files), `folder`, `first` (the number of the first part).
    """
    experiment, dataset, weights = given(request)
    origin = Origin(request["run"], experiment.backend, dataset.classes)
    classifier, number = trained(experiment, dataset, weights, progress.note).classifier, request["first"]
    start, stop = request["rows"]
    for pending in batches(Path(request["todo"]), start, stop, request["batch"]):
        batch, done = Batch(pending, request["inbox"]), 0
        progress.begin("score", len(pending), "files")
        for rows, x, refused in prepared(batch.source(dataset.sample.kind, experiment.data), dataset):
            batch.answered(rows, classifier.logits(x) if len(rows) else None, refused)
            done += len(rows) + len(refused)
            progress.advance(done)
        batch.write(Path(request["folder"]), number, origin)
        progress.end()
        number += 1
    return number - request["first"]
