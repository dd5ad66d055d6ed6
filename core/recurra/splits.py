"""Which sample is for training, which for validation, which for the test."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from recurra.errors import InputError, nearest
from recurra.experiment import Data, Group
from recurra.readers.reader import Samples

SPLITS = ("train", "validation", "test")
UNUSED, TRAIN, VALIDATION, TEST = -1, 0, 1, 2


@dataclass(frozen=True)
class Assignment:
    """The split of each sample."""

    splits: np.ndarray
    """[N] int8, an index into SPLITS; -1 for a sample that is not used."""
    groups: Sequence[str] | None
    """The group of each sample ('' where it has none); None where no groups were asked for."""
    notes: tuple[str, ...]
    """What the user should know: a class that a split lacks, groups on both sides, a part that is not as asked for."""


def assign(
    samples: Samples, classes: Sequence[str], data: Data, seed: int, usable: np.ndarray | None = None
) -> Assignment:
    """The source's own splits first; a test and a validation split are drawn from the rest where it has none.

    `usable` [N] bool says which samples count (those without a label never do). Where the test is split by groups, so
    is the validation, by its own grouping or the test's. Last, all but `data.train_fraction` of each class's training
    samples are left out. Deterministic in the seed, and the same whatever order the samples come in. InputError: a
    split or a class's training is left empty, a group is not there.
    """
    labelled = np.asarray(samples.labels) >= 0
    splits = _own_splits(samples, labelled if usable is None else labelled & usable)
    notes: list[str] = []
    for split, fraction, group in (
        (TEST, data.test_fraction, data.test_group),
        (VALIDATION, data.validation_fraction, data.validation_group),
    ):
        name, field = SPLITS[split], f"data.{SPLITS[split]}"
        if (np.asarray(samples.splits) == name).any():
            _check_own(name, group, bool((splits == split).any()))
            continue
        before = int((splits == TRAIN).sum())
        held = _held_out(samples, splits, split, data, seed)
        if split == TEST and not len(held):
            raise InputError(f"the test split is empty: {field}_fraction is {fraction}; raise it or set {field}_group")
        splits[held] = split
        _check_training(splits, samples.labels, classes)
        if not (group and group.hold_out):
            notes += _unlike(name, fraction, len(held), before)
    _check_training(splits, samples.labels, classes)
    if data.train_fraction < 1:
        splits[_left_out(samples, np.flatnonzero(splits == TRAIN), data.train_fraction, seed)] = UNUSED
    groups, shared = _grouping(samples, splits, data)
    return Assignment(splits, groups, (*_missing(splits, samples.labels, classes), *shared, *notes))


def draws_by_seed(data: Data, samples: Samples | None = None) -> bool:
    """Whether `assign` depends on its seed, given the source's samples (None: a source without splits of its own)."""
    own = set() if samples is None else set(np.unique(samples.splits))
    parts = (
        ("test", data.test_fraction, data.test_group),
        ("validation", data.validation_fraction, data.validation_group),
    )
    drawn = (name not in own and not (group and group.hold_out) and fraction > 0 for name, fraction, group in parts)
    return data.train_fraction < 1 or any(drawn)


def group_names(samples: Samples, group: Group, rows: Iterable[int], field: str) -> list[str]:
    """The group of each row; an InputError that names a sample where a row has none."""
    names = []
    for row in rows:
        name = _group_name(samples, group, row, field)
        if name is None:
            raise InputError(f"{field}: {_looked_for(group)} is not in '{samples.sources[row]}'")
        names.append(name)
    return names


def _own_splits(samples: Samples, usable: np.ndarray) -> np.ndarray:
    splits = np.full(len(samples), TRAIN, np.int8)
    for index, name in enumerate(SPLITS):
        splits[np.asarray(samples.splits) == name] = index
    splits[~usable] = UNUSED
    return splits


def _check_own(name: str, group: Group | None, usable: bool) -> None:
    """InputError where a split that the source has cannot be used, or is to be made again."""
    if group is not None:
        raise InputError(f"data.{name}_group: the source has a {name} split of its own; leave this out")
    if not usable:
        raise InputError(
            f"no sample of the source's own {name} split can be used: they have no label or cannot be read; mend them, "
            f"or remove that split from the source, and data.{name}_fraction draws one"
        )


def _unlike(name: str, fraction: float, held: int, of: int) -> Iterable[str]:
    """A line where the part held out is more than double or less than half of what was asked for."""
    if not fraction / 2 <= held / of <= 2 * fraction:
        yield f"the {name} split has {held / of:.1%} of the samples, and data.{name}_fraction is {fraction:g}"


def _held_out(samples: Samples, splits: np.ndarray, split: int, data: Data, seed: int) -> np.ndarray:
    """Rows of the training split to hold out."""
    rows, field = np.flatnonzero(splits == TRAIN), f"data.{SPLITS[split]}"
    fraction = data.test_fraction if split == TEST else data.validation_fraction
    group = data.test_group if split == TEST else validation_group(data)
    if group is None:
        held = _stratified(samples, rows, fraction, seed, field)
        if fraction and len(rows) and not len(held):
            drawn = split == VALIDATION and not (np.asarray(samples.splits) == "test").any()
            raise InputError(f"{field}_fraction: {_why_none(split, drawn)}")
        return held
    field = f"{field}_group"
    names = np.array(group_names(samples, group, rows.tolist(), field), object)
    counts = Counter(names.tolist())
    held = _asked(group.hold_out, counts, field) if group.hold_out else _drawn(counts, fraction, seed, field)
    if len(held) == len(counts):
        raise InputError(f"{field}: all {len(counts)} groups are held out and none is left for training")
    return rows[np.isin(names, list(held))]


def validation_group(data: Data) -> Group | None:
    """What the validation is split by: its own grouping, else the test's, whose groups would else be parted."""
    if data.validation_group is not None or data.test_group is None:
        return data.validation_group
    return data.test_group.model_copy(update={"hold_out": None})


def _why_none(split: int, test_drawn: bool) -> str:
    why = "no class has two samples"
    if split == TEST:
        return f"{why}, so none can be held out"
    if test_drawn:
        return f"{why} after the test was taken; set data.validation_fraction: 0 or lower data.test_fraction"
    return f"{why} for training, so none can be held out; set data.validation_fraction: 0"


def _asked(hold_out: Sequence[str], counts: Counter[str], field: str) -> set[str]:
    for name in hold_out:
        if name not in counts:
            known = sorted(counts)
            shown = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
            raise InputError(f"{field}.hold_out: no training group '{name}'.{nearest(name, known)} There are {shown}")
    return set(hold_out)


def _drawn(counts: Counter[str], fraction: float, seed: int, field: str) -> set[str]:
    if fraction and len(counts) < 2:
        # Left out, the validation's grouping is the test's: the user may not know that there is one.
        advice = "" if field.startswith("data.test") else "; name another grouping or set data.validation_fraction: 0"
        only = next(iter(counts), "")
        raise InputError(f"{field}: one group, '{only}', has all samples; two are needed for a split{advice}")
    held: set[str] = set()
    wanted = fraction * counts.total()
    for name in sorted(counts, key=lambda name: (_draw(seed, field, name), name)):
        if sum(counts[h] for h in held) >= wanted or len(held) == len(counts) - 1:
            break
        held.add(name)
    return held


def _stratified(samples: Samples, rows: np.ndarray, fraction: float, seed: int, field: str) -> np.ndarray:
    """The rows of a part of each class, as near to `fraction` as one sample at least and never the last one allows."""
    if not fraction or not len(rows):
        return rows[:0]
    keys = np.fromiter((_draw(seed, field, samples.sources[row]) for row in map(int, rows)), np.uint64, len(rows))
    labels = np.asarray(samples.labels)[rows]
    order = np.lexsort((keys, labels))
    present, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    quotas = _quotas(sizes, fraction)
    held = np.concatenate([order[s : s + q] for _, s, q in zip(present, starts, quotas, strict=True)])
    return np.sort(rows[held])


def _left_out(samples: Samples, rows: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """The training rows beyond the fraction of each class; what a smaller fraction keeps, a larger one keeps too."""
    field = "data.train_fraction"
    keys = np.fromiter((_draw(seed, field, samples.sources[row]) for row in map(int, rows)), np.uint64, len(rows))
    labels = np.asarray(samples.labels)[rows]
    order = np.lexsort((keys, labels))
    _, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    place = np.arange(len(rows)) - np.repeat(starts, sizes)
    kept = np.maximum(1, np.round(sizes * fraction))
    return rows[order[place >= np.repeat(kept, sizes)]]


def _quotas(sizes: np.ndarray, fraction: float) -> np.ndarray:
    """How many of each class.

    Largest remainders make the total the fraction of all. Then each class of two samples or more gets one at least and
    keeps one at least, so that with many classes of a few samples the total is another.
    """
    exact = sizes * fraction
    quotas = np.floor(exact).astype(np.int64)
    short = round(float(exact.sum())) - int(quotas.sum())
    quotas[np.argsort(quotas - exact, kind="stable")[:short]] += 1
    return np.clip(quotas, np.minimum(1, sizes - 1), sizes - 1)


def _draw(seed: int, field: str, name: str) -> int:
    # A hash rather than a shuffle: a sample's lot does not depend on which others there are.
    text = f"{seed}\0{field}\0{name}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def _group_name(samples: Samples, group: Group, row: int, field: str) -> str | None:
    if group.column is not None:
        if group.column not in samples.groups:
            known = sorted(samples.groups)
            there = f"There are {', '.join(known)}" if known else "This source has no columns"
            raise InputError(f"{field}.column: no column '{group.column}'.{nearest(group.column, known)} {there}")
        return str(samples.groups[group.column][row])
    folders, _, file = samples.sources[row].rpartition("/")
    if group.folder is not None:
        levels = folders.split("/") if folders else []
        return levels[group.folder] if -len(levels) <= group.folder < len(levels) else None
    match = re.search(group.pattern or "", file)
    return match and match[1 if match.re.groups else 0]


def _looked_for(group: Group) -> str:
    return f"folder level {group.folder}" if group.folder is not None else f"the pattern '{group.pattern}'"


def _check_training(splits: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> None:
    counts = np.bincount(np.asarray(labels)[splits == TRAIN], minlength=len(classes))
    for name, count in zip(classes, counts, strict=True):
        if not count:
            raise InputError(
                f"class '{name}' has no sample left for training; add samples, or hold out less or other groups"
            )


def _missing(splits: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Iterable[str]:
    for split in (VALIDATION, TEST):
        counts = np.bincount(np.asarray(labels)[splits == split], minlength=len(classes))
        absent = [name for name, count in zip(classes, counts, strict=True) if not count]
        if absent and counts.any():
            yield f"the {SPLITS[split]} split has no sample of {', '.join(absent)}"


def _grouping(samples: Samples, splits: np.ndarray, data: Data) -> tuple[Sequence[str] | None, tuple[str, ...]]:
    """The group of every used sample, by the test's grouping for the test and else the validation's."""
    by_test = data.test_group or data.validation_group
    by_validation = data.validation_group or data.test_group
    if by_test is None or by_validation is None:
        return None, ()
    names = [""] * len(samples)
    for row in np.flatnonzero(splits != UNUSED).tolist():
        group = by_test if splits[row] == TEST else by_validation
        names[row] = _group_name(samples, group, row, "data") or ""
    if by_test != by_validation:
        return names, ()
    shared = {names[row] for row in np.flatnonzero(splits == TEST)} & {
        names[row] for row in np.flatnonzero((splits == TRAIN) | (splits == VALIDATION))
    }
    shown = ", ".join(sorted(shared - {""})[:5])
    return names, (f"{len(shared)} groups are in the test and in the training too: {shown}",) if shown else ()
