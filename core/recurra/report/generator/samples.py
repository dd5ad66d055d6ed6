"""Generated samples to look at: each class beside real ones, and the nearest to a training sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recurra.judgement.pictures import NO_SAMPLE
from recurra.judgement.sight import NO_ANSWER
from recurra.report.generator.material import Material
from recurra.report.generator.shots import Look, Shot, shots

FEW = 12
"""Up to so many classes each has as many samples as there are, beyond half as many."""
BUDGET = 900_000
STRIP_BUDGET = 350_000
PAIR_BUDGET = 200_000
IMAGE, CLIP = Look(64), Look(80)
STRIP = Look(40, strip=8, strip_side=40, moving=False)
PAIR = {True: Look(80, strip=5, strip_side=40), False: Look(80)}


@dataclass(frozen=True)
class Specimen:
    """A sample, and what the judge took it for."""

    shot: Shot
    words: str
    """For those who cannot see it."""
    amiss: bool
    """Whether the judge took it for another class than the intended one."""


@dataclass(frozen=True)
class ClassSamples:
    """A class's generated samples and real ones."""

    name: str
    generated: list[Specimen]
    real: list[Specimen]
    generated_strip: Shot | None
    """The first of them, frame by frame; None for images."""
    real_strip: Shot | None


def class_samples(material: Material) -> list[ClassSamples]:
    """The classes that are shown, each with samples that were generated for it and real test samples of it."""
    pictures, labels = material.pictures, material.pictures["samples_labels"].tolist()
    most = pictures["samples"].shape[1]
    most = most if len(material.classes) <= FEW else -(-most // 2)
    places = [
        (kind, row, place)
        for row in range(len(labels))
        for kind in ("samples", "real")
        for place in np.flatnonzero(pictures[f"{kind}_seen"][row] != NO_SAMPLE)[:most].tolist()
    ]
    look = CLIP if material.clips else IMAGE
    made = shots([pictures[kind][row, place] for kind, row, place in places], look, material.shades, BUDGET)
    groups: dict[tuple[str, int], list[Specimen]] = {}
    for (kind, row, place), shot in zip(places, made, strict=True):
        seen = int(pictures[f"{kind}_seen"][row, place])
        groups.setdefault((kind, row), []).append(_specimen(material, kind, labels[row], seen, shot))
    strips = _strips(material, places)
    return [
        ClassSamples(
            material.classes[number],
            groups.get(("samples", row), []),
            groups.get(("real", row), []),
            strips.get(("samples", row)),
            strips.get(("real", row)),
        )
        for row, number in enumerate(labels)
    ]


def _specimen(material: Material, kind: str, number: int, seen: int, shot: Shot) -> Specimen:
    what = "generated" if kind == "samples" else "real"
    name = material.classes[number]
    if seen == NO_ANSWER:
        return Specimen(shot, f"{what} {name}, of which the judge could say nothing", amiss=True)
    words = f"{what} {name}" if seen == number else f"{what} {name}, taken for {material.classes[seen]}"
    return Specimen(shot, words, seen != number)


def _strips(material: Material, places: list[tuple[str, int, int]]) -> dict[tuple[str, int], Shot]:
    """Frame by frame the first clip of each kind and row."""
    if not material.clips:
        return {}
    first = {(kind, row): place for kind, row, place in reversed(places)}
    clips = [material.pictures[kind][row, place] for (kind, row), place in first.items()]
    return dict(zip(first, shots(clips, STRIP, material.shades, STRIP_BUDGET), strict=True))


@dataclass(frozen=True)
class Pair:
    """A generated sample and the training sample that is nearest to it."""

    generated: Shot
    train: Shot
    intended: str
    true: str
    """The training sample's class."""
    distance: float


def nearest_pairs(material: Material) -> list[Pair]:
    """The generated samples that are nearest to a training sample, the nearest first."""
    pictures, names = material.pictures, material.classes
    both = pictures["neighbours"]
    flat = list(both.reshape(-1, *both.shape[2:]))
    made = shots(flat, PAIR[material.clips], material.shades, PAIR_BUDGET)
    labels, distances = pictures["neighbours_labels"].tolist(), pictures["neighbours_distance"].tolist()
    return [
        Pair(made[2 * place], made[2 * place + 1], names[intended], names[true], distance)
        for place, ((intended, true), distance) in enumerate(zip(labels, distances, strict=True))
    ]
