"""How a GAN's training went: its losses, who was winning, and what its samples measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from recurra.report.curves import Curves, Line, learning_curves
from recurra.report.generator.material import Material


@dataclass(frozen=True)
class Figure:
    """One drawing with its legend."""

    title: str
    lines: list[tuple[str, str]]
    """(style, name) of each line."""
    drawing: Markup
    note: str


def figures(material: Material) -> list[Figure]:
    """All that were measured in any epoch."""
    return [_figure(curves, note) for curves, note in _curves(material)]


def _figure(curves: Curves, note: str) -> Figure:
    return Figure(curves.title, [(line.style, line.name) for line in curves.lines], learning_curves(curves), note)


def _curves(material: Material) -> Iterator[tuple[Curves, str]]:
    for title, columns, share, level, note in _wanted(material):
        styles = ("validation", "train")
        lines = [
            Line(name, style, material.history[column])
            for (column, name), style in zip(columns.items(), styles, strict=False)
        ]
        lines = [line for line in lines if line.measured]
        if lines:
            epochs, best = material.history["epoch"].astype(int), int(material.training["best_epoch"])
            yield Curves(title, epochs, tuple(lines), best, share, level), note


def _wanted(material: Material) -> Iterator[tuple[str, dict[str, str], bool, float | None, str]]:
    """(title, column -> name, whether it is a share, a level to compare with, what it says)."""
    losses = {"generator_loss": "generator", "discriminator_loss": "discriminators"}
    yield "Losses", losses, False, None, "They fight: neither has to fall."
    right = {"real_right": "on real samples", "fake_right": "on generated samples"}
    gan = material.experiment.train.gan
    if gan.loss == "relativistic":
        right = {"real_right": "on pairs"}
    note = "At 50% they only guess; at 100% the generator has lost."
    yield "How often the discriminators were right", right, True, 0.5, note
    yield "Fréchet distance", {"frechet": "generated to real"}, False, None, "Lower is better."
    yield "Kernel distance", {"kernel": "generated to real"}, False, None, "Lower is better."
    both = {"recall": "recall", "precision": "precision"}
    yield "Precision and recall", both, True, None, "Higher is better."
    yield "Taken for the intended class", {"label_accuracy": "by the judge"}, True, None, "Higher is better."
    yield "Diversity", {"diversity": "of the least class"}, False, None, "1 is as of real samples; near 0 is collapse."
    penalties = " and ".join(name for name, weight in (("R1", gan.r1), ("R2", gan.r2)) if weight)
    yield "Gradient penalty", {"penalty": penalties}, False, None, "Growing without end: unstable."
