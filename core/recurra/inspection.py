"""What a source holds, as counts, shapes and values, before anything is made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from recurra.contact_sheet import contact_sheet
from recurra.errors import InputError
from recurra.experiment import Data
from recurra.normalisation import Statistics
from recurra.readers.reader import Refused, Source
from recurra.refusals import Refusals
from recurra.splits import SPLITS, TRAIN, assign, group_names
from recurra.survey import Survey, decide, in_order, survey

__all__ = ["contact_sheet", "inspect"]

_SAMPLED_BYTES = 256 * 2**20
_SHOWN = 20


def inspect(source: Source, data: Data, seed: int = 0, sampled: int = 1000) -> dict[str, Any]:
    """A JSON-able summary: kind, classes, counts, shapes, lengths, values, refused, splits, groups, problems.

    Every header is read, and the pixels of at most `sampled` samples, spread evenly. What would stop preprocessing is
    in `problems`, in the words of its error, rather than raised; `splits` and `recipe` are what it would make.
    """
    found = survey(source)
    values, unreadable = _values(source, found, sampled)
    refused = [*found.refused, *unreadable]
    labels = np.asarray(source.samples.labels)
    usable = (found.codes >= 0) & (labels >= 0)
    return {
        "kind": source.kind,
        "classes": list(source.classes),
        "samples": len(source.samples),
        "unlabelled": int((labels < 0).sum()),
        "own_splits": _own_splits(source),
        "shapes": _shapes(found),
        "lengths": _lengths(found.lengths[found.codes >= 0]) if source.kind == "clip" else None,
        "values": values,
        "refused": _reasons(refused),
        "not_samples": _reasons(source.refused),
        "groups": _groups(source, data),
        **_outcome(source, found, refused, data, seed, usable),
    }


def _own_splits(source: Source) -> dict[str, list[int]]:
    """Samples of each class in each split that the source itself names ('' for no split)."""
    splits, labels = np.asarray(source.samples.splits), np.asarray(source.samples.labels)
    return {str(split): _per_class(labels[splits == split], source.classes) for split in np.unique(splits)}


def _per_class(labels: np.ndarray, classes: Sequence[str]) -> list[int]:
    return np.bincount(labels[labels >= 0], minlength=len(classes)).tolist()


def _shapes(found: Survey) -> list[dict[str, Any]]:
    """How many samples there are of each size, channels and dtype, the most common first."""
    counts: Counter[tuple[int, int, int, str]] = Counter()
    for form, count in zip(found.forms, np.bincount(found.codes + 1, minlength=1)[1:].tolist(), strict=True):
        counts[form.height, form.width, form.channels, form.dtype] += count
    names = ("height", "width", "channels", "dtype")
    return [{**dict(zip(names, shape, strict=True)), "samples": count} for shape, count in counts.most_common(_SHOWN)]


def _lengths(lengths: np.ndarray) -> dict[str, float]:
    if not len(lengths):
        return {}
    return {"shortest": int(lengths.min()), "median": float(np.median(lengths)), "longest": int(lengths.max())}


def _values(source: Source, found: Survey, sampled: int) -> tuple[list[dict[str, Any]], list[Refused]]:
    """Range, mean and standard deviation of each kind of pixel, from some of the samples; those refused with them."""
    rows = np.flatnonzero(found.codes >= 0)
    if not len(rows):
        return [], []
    mean_bytes = found.bytes_each[rows].mean()
    count = max(1, min(len(rows), sampled, int(_SAMPLED_BYTES / mean_bytes)))
    rows = rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)]
    seen: dict[tuple[str, int], Statistics] = {}
    refused: list[Refused] = []
    for block in in_order(source.read, found.blocks(rows)):
        refused += block.refused
        whole = isinstance(block.arrays, np.ndarray) and len(block.arrays)
        for array in [block.arrays] if whole else block.arrays:
            array = np.asarray(array)
            key, statistics = (str(array.dtype), array.shape[-1]), Statistics.of(array)
            seen[key] = seen[key].joined(statistics) if key in seen else statistics
    numbers = [
        {"dtype": dtype, "channels": channels, **statistics.to_json()} for (dtype, channels), statistics in seen.items()
    ]
    return numbers, refused


def _reasons(refused: Sequence[Refused]) -> dict[str, Any]:
    """How many for each reason, and the first few."""
    first = [{"source": r.source, "reason": r.reason} for r in refused[:_SHOWN]]
    return {
        "count": len(refused),
        "reasons": dict(Counter(r.reason for r in refused).most_common(_SHOWN)),
        "first": first,
    }


def _groups(source: Source, data: Data) -> dict[str, Any]:
    """For each grouping that `data` asks for, how many samples each of its groups has."""
    summary: dict[str, Any] = {}
    for name, group in (("test_group", data.test_group), ("validation_group", data.validation_group)):
        if group is None:
            continue
        try:
            counts = Counter(group_names(source.samples, group, range(len(source.samples)), f"data.{name}"))
        except InputError:
            continue  # Among the problems, if it stands in the way.
        summary[name] = {"groups": len(counts), "samples": dict(sorted(counts.most_common(_SHOWN)))}
    return summary


def _outcome(
    source: Source, found: Survey, refused: Sequence[Refused], data: Data, seed: int, usable: np.ndarray
) -> dict[str, Any]:
    """The splits and the recipe that preprocessing would make, its notes, and what stands in its way."""
    outcome: dict[str, Any] = {"splits": None, "recipe": None, "notes": [], "problems": []}
    training = usable
    try:
        Refusals(len(source.samples), data.max_refused).add(refused)
    except InputError as error:
        outcome["problems"].append(str(error))
    if not usable.any():
        return outcome
    try:
        assignment = assign(source.samples, source.classes, data, seed, usable)
        labels = np.asarray(source.samples.labels)
        outcome["splits"] = {
            name: _per_class(labels[assignment.splits == index], source.classes) for index, name in enumerate(SPLITS)
        }
        outcome["notes"] = list(assignment.notes)
        training = assignment.splits == TRAIN
    except InputError as error:
        outcome["problems"].append(str(error))
    try:
        outcome["recipe"] = decide(source, found, data, training).to_json()
    except InputError as error:
        outcome["problems"].append(str(error))
    return outcome
