"""What a dashboard shows of a GAN's run: a page of Markdown with pictures in it, and a table of the metrics."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.experiment import Experiment
from recurra.report.generator import tables, words
from recurra.report.generator.material import Material, gather
from recurra.report.generator.sheet import sheet
from recurra.report.plotting import PALE, QUIET, RIGHT, WRONG, empty_figure, pictured, plain, png
from recurra.store import Artifact

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHEET_BYTES = 60_000
PANELS = {
    "Losses": {"generator_loss": "generator", "discriminator_loss": "discriminators"},
    "Discriminators right": {"real_right": "on real", "fake_right": "on generated"},
    "Fréchet distance": {"frechet": ""},
    "Of the samples": {"label_accuracy": "seen as intended", "recall": "recall", "precision": "precision"},
}
"""Title -> column of the history -> name."""


def metrics_table(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each headline number of a judgement's metrics.json, then three for each class: `metric`, `value`."""
    rows = [{"metric": name, "value": _rounded(value)} for name, value in measured["headline"].items()]
    for score in measured["per_class"]:
        for name in ("trts", "tstr", "diversity"):
            rows.append({"metric": f"{name}: {score['name']}", "value": _rounded(score[name])})
    return rows


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def summary_markdown(experiment: Experiment, artifacts: Mapping[str, Artifact]) -> str:
    """The report's headline, samples and learning curves as Markdown of less than 180 kB.

    The pictures are PNG in data: URIs, which is what dashboards render; one that would not fit is left out.
    """
    material = gather(experiment, artifacts)
    drawings: dict[str, Callable[[Material], str]] = {"Generated and real samples": _sheet, "Learning": _curves}
    return pictured(_words(material), ((title, drawing(material)) for title, drawing in drawings.items()))


def _words(material: Material) -> str:
    lines = [f"# {plain(material.experiment.name)}", "", words.achieved(material), ""]
    lines += [f"> {plain(line)}" for line in words.warnings(material)] + [""]
    lines += ["| Metric | Value | |", "| --- | ---: | --- |"]
    lines += [f"| {tile.name} | {tile.value} | {plain(tile.note)} |" for tile in tables.tiles(material)]
    lines += ["", "## Beside real samples", "", "| Measure | Generated | Floor | |", "| --- | ---: | ---: | --- |"]
    lines += [f"| {row.name} | {row.value} | {row.floor} | {plain(row.verdict)} |" for row in tables.measures(material)]
    return "\n".join(lines) + "\n"


def _sheet(material: Material) -> str:
    return base64.b64encode(sheet(material, SHEET_BYTES)).decode()


def _curves(material: Material) -> str:
    from matplotlib.ticker import MaxNLocator

    figure, history = empty_figure(9, 5.2), material.history
    axes: list[Axes] = list(figure.subplots(2, 2).flat)
    for panel, (title, columns) in zip(axes, PANELS.items(), strict=True):
        for colour, (column, name) in zip((RIGHT, QUIET, WRONG), columns.items(), strict=False):
            known = np.isfinite(history[column])
            panel.plot(history["epoch"][known], history[column][known], color=colour, marker=".", label=name)
        if title == "Discriminators right":
            panel.axhline(0.5, color=WRONG, linestyle="--", linewidth=1)
        panel.axvline(material.training["best_epoch"], color=QUIET, linestyle=":", linewidth=1)
        panel.set(title=title, xlabel="epoch")
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="y", color=PALE)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(columns) > 1:
            panel.legend(frameon=False, fontsize=8)
    return png(figure)
