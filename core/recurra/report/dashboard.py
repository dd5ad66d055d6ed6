"""What a dashboard shows of a run: a page of Markdown with pictures in it, and a table of the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.experiment import Experiment
from recurra.metrics import Metrics
from recurra.report import generator, tables, words
from recurra.report.material import Material, gather
from recurra.report.plotting import PALE, QUIET, RIGHT, empty_figure, pictured, plain, png
from recurra.store import Artifact
from recurra.wording import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MATRIX_CLASSES = 25
"""Classes up to which the matrix fits a small picture."""


def metrics_table(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The metrics.json of an evaluation or of a judgement as rows of `metric` and `value`: a row for each headline
    number, then some for each class.
    """
    if measured.get("kind") == "gan":
        return generator.metrics_table(measured)
    metrics = Metrics.from_json(dict(measured))
    rows: list[dict[str, Any]] = [
        {"metric": name, "value": round(value, 6)} for name, value in metrics.headline.items()
    ]
    for score in metrics.per_class:
        for name, value in (("f1", score.f1), ("precision", score.precision), ("recall", score.recall)):
            rows.append({"metric": f"{name}: {score.name}", "value": None if value is None else round(value, 6)})
    return rows


def summary_markdown(experiment: Experiment, artifacts: Mapping[str, Artifact]) -> str:
    """The report's headline, learning curves and confusion matrix (of a GAN: samples and learning curves) as Markdown
    of less than 180 kB.

    The pictures are PNG in data: URIs, which is what dashboards render; one that would not fit is left out.
    """
    if experiment.model.kind == "gan":
        return generator.summary_markdown(experiment, artifacts)
    material = gather(experiment, artifacts)
    pictures = [("Learning curves", _curves)]
    if len(material.metrics.classes) <= MATRIX_CLASSES:
        pictures.append(("Confusion matrix", _matrix))
    return pictured(_words(material), ((title, png(drawing(material))) for title, drawing in pictures))


def _words(material: Material) -> str:
    lines = [f"# {plain(material.experiment.name)}", "", words.achieved(material), ""]
    lines += [f"> {plain(line)}" for line in words.warnings(material)] + [""]
    lines += ["| Metric | Value | |", "| --- | ---: | --- |"]
    lines += [f"| {tile.name} | {tile.value} | {plain(tile.note)} |" for tile in tables.tiles(material)]
    pairs = tables.confused_pairs(material.metrics.confusion, material.metrics.classes, 5)
    if pairs:
        lines += ["", "## Most confused", "", "| True | taken for | Samples | Share |", "| --- | --- | ---: | ---: |"]
        lines += [
            f"| {plain(pair.true)} | {plain(pair.predicted)} | {pair.count:,} | {percent(pair.share)} |"
            for pair in pairs
        ]
    return "\n".join(lines) + "\n"


def _curves(material: Material) -> Figure:
    from matplotlib.ticker import MaxNLocator

    figure, history = empty_figure(9, 3.2), material.history
    axes: list[Axes] = list(figure.subplots(1, 2))
    for panel, name in zip(axes, ("loss", "accuracy"), strict=True):
        panel.plot(history["epoch"], history[f"train_{name}"], color=QUIET, marker=".", label="training")
        panel.plot(history["epoch"], history[f"val_{name}"], color=RIGHT, marker=".", label="validation")
        panel.axvline(material.training["best_epoch"], color=QUIET, linestyle=":", linewidth=1, label="best epoch")
        panel.set(title=name.capitalize(), xlabel="epoch")
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="y", color=PALE)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].legend(frameon=False)
    return figure


def _matrix(material: Material) -> Figure:
    confusion, names = material.metrics.confusion, [_short(name) for name in material.metrics.classes]
    side = 2.2 + 0.42 * len(names)
    figure = empty_figure(side, side)
    axes = figure.subplots()
    shares = confusion / np.maximum(1, confusion.sum(axis=1, keepdims=True))
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="taken for", ylabel="true class")
    for row, column in np.argwhere(confusion):
        colour = "white" if shares[row, column] > 0.4 else "black"
        axes.text(column, row, str(confusion[row, column]), ha="center", va="center", fontsize=8, color=colour)
    return figure


def _short(name: str) -> str:
    # Matplotlib reads what stands between dollars as mathematics.
    return (name if len(name) <= 16 else f"{name[:15]}…").replace("$", r"\$")
