"""A section of the report: how many samples are answered, and how many of those right, if only sure answers count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from markupsafe import escape

from recurra import Artifact, Experiment, hookimpl
from recurra.report import Section

THRESHOLDS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99)


@hookimpl
def recurra_report_sections(experiment: Experiment, artifacts: Mapping[str, Artifact]) -> Iterable[Section]:
    """One section for a recogniser; none for a GAN, whose evaluation has no predictions."""
    if experiment.model.kind == "gan":
        return []
    import pyarrow.parquet as pq  # here: `recurra plugins` imports this module, and needs no pyarrow for it

    predictions = pq.read_table(artifacts["evaluate"].file("predictions.parquet"), columns=["confidence", "correct"])
    rows = gained(predictions["confidence"].to_numpy(), predictions["correct"].to_numpy())
    return [Section("Answering only when sure", table(rows))]


def gained(confidence: np.ndarray, correct: np.ndarray) -> list[tuple[str, ...]]:
    """(least confidence, part of the samples that is answered, part of those that is right) of each threshold."""
    rows = []
    for threshold in THRESHOLDS:
        answered = confidence >= threshold
        right = f"{correct[answered].mean():.1%}" if answered.any() else "–"
        rows.append((f"{threshold:.2f}", f"{answered.mean():.1%}", right))
    return rows


def table(rows: Iterable[Iterable[str]]) -> str:
    """HTML. Whatever comes from data has to be escaped; `scroll` and `n` are classes of the page's own style."""
    head = "".join(f'<th scope="col" class="n">{name}</th>' for name in ("Confidence from", "Answered", "Right"))
    lines = ["".join(f'<td class="n">{escape(cell)}</td>' for cell in row) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
