"""The same samples after one epoch and another: always of the same codes and labels."""

from __future__ import annotations

from dataclasses import dataclass

from recurra.report.generator.material import Material
from recurra.report.generator.shots import Look, Shot, shots

COUNT = {"image": 10, "clip": 3}
"""Samples of each epoch."""
LOOK = {"image": Look(56), "clip": Look(40, strip=5, strip_side=40, moving=False)}
BUDGET = 400_000


@dataclass(frozen=True)
class Preview:
    """What was generated after one epoch."""

    epoch: int
    samples: list[Shot]
    tested: bool
    """Whether the weights of this epoch are those that were judged."""


@dataclass(frozen=True)
class Previews:
    """The samples over the training."""

    names: list[str]
    """The class of each column."""
    rows: list[Preview]


def previews(material: Material) -> Previews:
    """A row for each epoch whose samples were kept."""
    kind = material.dataset.sample.kind
    kept = list(material.previews(COUNT[kind]))
    made = iter(shots([sample for _, pixels, _ in kept for sample in pixels], LOOK[kind], material.shades, BUDGET))
    rows = [
        Preview(epoch, [next(made) for _ in range(len(pixels))], epoch == material.tested_epoch)
        for epoch, pixels, _ in kept
    ]
    return Previews([material.classes[label] for label in kept[0][2].tolist()] if kept else [], rows)
