"""What the generator's two kinds of noise do: samples on the way between two content codes, and between two draws."""

from __future__ import annotations

from dataclasses import dataclass

from recurra.report.generator.material import Material
from recurra.report.generator.shots import Look, Shot, shots

ROWS = {"image": 6, "clip": 3}
"""Classes that are shown at most."""
BUDGET = 250_000
"""Of each of both."""
LOOK = {"image": Look(56), "clip": Look(64, strip=6, strip_side=40)}


@dataclass(frozen=True)
class Walk:
    """One class's samples, step by step, all else fixed."""

    name: str
    steps: list[Shot]


def walks(material: Material, code: str) -> list[Walk]:
    """The walks of `content` or of `motion`, a class each."""
    kind = material.dataset.sample.kind
    pixels, labels = material.pictures[code][: ROWS[kind]], material.pictures["walk_labels"].tolist()
    rows, steps = pixels.shape[:2]
    made = shots(list(pixels.reshape(-1, *pixels.shape[2:])), LOOK[kind], material.shades, BUDGET)
    return [
        Walk(material.classes[label], made[row * steps : (row + 1) * steps])
        for row, label in zip(range(rows), labels, strict=False)
    ]
