"""From a source to a dataset: survey the headers, split, decode in threads, write; in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recurra.dataset import FORMAT, Dataset
from recurra.dataset_writer import DatasetWriter, Rows
from recurra.errors import InputError
from recurra.experiment import Experiment
from recurra.normalisation import Statistics, normalisation
from recurra.progress import Progress
from recurra.readers.reader import Refused, Source
from recurra.recipe import Recipe
from recurra.refusals import Refusals, shown
from recurra.splits import SPLITS, TRAIN, UNUSED, Assignment, assign, draws_by_seed
from recurra.survey import Survey, decide, in_order, survey

_ELSEWHERE = {"source", "augment"}
"""Fields of `data` that leave the dataset as it is: the source's content counts, not its name."""


def preprocess_settings(experiment: Experiment, source: Source | None = None) -> dict[str, Any]:
    """The fields that the dataset depends on besides the source's content; what its cache key is made from.

    What cannot matter is left out: the fraction where groups are named, the seed where nothing is drawn; and with the
    source at hand, the fraction of a split that it has of its own and the clips' settings for images.
    """
    data = experiment.data.model_dump(mode="json", exclude=_ELSEWHERE)
    samples = None if source is None else source.samples
    own = set() if samples is None else {str(name) for name in np.unique(samples.splits)}
    for name in ("validation", "test"):
        if name in own or (data[f"{name}_group"] or {}).get("hold_out"):
            del data[f"{name}_fraction"]
    if source is not None and source.kind == "image":
        del data["clip"]
    drawn = draws_by_seed(experiment.data, samples)
    return {"data": data, "seed": experiment.seed} if drawn else {"data": data}


def preprocess(
    source: Source, experiment: Experiment, folder: Path, progress: Progress, threads: int | None = None
) -> Dataset:
    """The dataset, written into `folder`. Equal input gives equal bytes, whatever the number of threads.

    InputError: too much is refused, a class or a split is left empty, sizes differ and none is set.
    """
    refusals = Refusals(len(source.samples), experiment.data.max_refused)
    plan = _planned(source, experiment, refusals, progress)
    _write(plan, folder, refusals, progress, threads)
    for line in plan.assignment.notes:
        progress.note(line)
    _tell(refusals, source.refused, progress)
    return Dataset.open(folder)


def repeat_refusals(dataset: Dataset, experiment: Experiment, progress: Progress) -> None:
    """Tells again what was left out when the dataset was made; for one that is there already.

    InputError where that is more than `data.max_refused` allows now: the dataset does not depend on that field.
    """
    recorded, used = dataset.summary["refused"], sum(map(sum, dataset.summary["counts"].values()))
    if not any(recorded.values()):
        return
    refused = dataset.refused
    refusals = Refusals(used + recorded["samples"], experiment.data.max_refused)
    refusals.add(refused[: recorded["samples"]])
    _tell(refusals, refused[recorded["samples"] :], progress)


def _tell(refusals: Refusals, no_samples: Sequence[Refused], progress: Progress) -> None:
    for line in refusals.notes():
        progress.note(line)
    if no_samples:
        progress.note(f"{len(no_samples)} entries of the source are no samples: {shown(no_samples)}")


def prepare(
    source: Source, dataset: Dataset, rows: np.ndarray | None = None, threads: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[Refused, ...]]]:
    """The samples of a source, made as `dataset`'s were: (rows [n], pixels [n, T, H, W, C], refused).

    In blocks of some MiB, in the order of `rows` (left out: all), in the dataset's dtype. What its header refuses comes
    first, what its pixels refuse with its block; so are floats refused where the dataset was made from 8-bit values,
    whose scale they need not have. An InputError where the source is of another kind.
    """
    recipe = dataset.recipe
    if source.kind != recipe.sample.kind:
        raise InputError(f"the source holds {source.kind}s, and the dataset was made from {recipe.sample.kind}s")
    found = survey(source)
    wanted = np.arange(len(source.samples)) if rows is None else np.asarray(rows, np.int64)
    fitting = np.array([*(recipe.takes(form) for form in found.forms), False])
    usable = fitting[found.codes[wanted]]
    unread = set(wanted[~usable].tolist())
    if unread:
        nothing = np.empty((0, *recipe.sample.array), recipe.dtype)
        refused = (*found.refused, *_unscaled(source, found, recipe))
        yield wanted[:0], nothing, tuple(r for r in refused if r.row in unread)
    for block in in_order(lambda part: _read(source, recipe, part), found.blocks(wanted[usable]), threads):
        yield block.rows, block.pixels, block.refused


def _unscaled(source: Source, found: Survey, recipe: Recipe) -> Iterator[Refused]:
    unfit = [code for code, form in enumerate(found.forms) if not recipe.takes(form)]
    reason = "its values are not 8-bit, and those that the dataset was made from are; save it as uint8, 0 to 255"
    for row in np.flatnonzero(np.isin(found.codes, unfit)).tolist():
        yield Refused(row, source.samples.sources[row], reason)


@dataclass(frozen=True)
class _Plan:
    """All that is decided before a pixel is decoded."""

    source: Source
    experiment: Experiment
    found: Survey
    assignment: Assignment
    recipe: Recipe


@dataclass(frozen=True)
class _Block:
    """Some decoded samples, of the dataset's shape and dtype, and the statistics of those for training."""

    rows: np.ndarray
    pixels: np.ndarray
    lengths: np.ndarray
    refused: tuple[Refused, ...]
    statistics: Statistics | None = None


def _planned(source: Source, experiment: Experiment, refusals: Refusals, progress: Progress) -> _Plan:
    found = survey(source, progress)
    labelled = np.asarray(source.samples.labels) >= 0
    names = source.samples.sources
    refusals.add(found.refused)
    refusals.add(
        Refused(row, names[row], "has no label") for row in np.flatnonzero(~labelled & (found.codes >= 0)).tolist()
    )
    usable = labelled & (found.codes >= 0)
    if not usable.any():
        raise InputError(f"no sample of the source can be used: {shown(refusals.refused) or 'it is empty'}")
    assignment = assign(source.samples, source.classes, experiment.data, experiment.seed, usable)
    recipe = decide(source, found, experiment.data, assignment.splits == TRAIN)
    return _Plan(source, experiment, found, assignment, recipe)


def _write(plan: _Plan, folder: Path, refusals: Refusals, progress: Progress, threads: int | None) -> None:
    recipe, classes = plan.recipe, plan.source.classes
    rows = np.flatnonzero(plan.assignment.splits != UNUSED)
    counts = np.zeros((len(SPLITS), len(classes)), np.int64)
    statistics: Statistics | None = None
    groups = plan.assignment.groups is not None
    progress.begin("preprocess", len(rows), "samples")
    done = 0
    with DatasetWriter(
        folder, recipe.sample, recipe.dtype, classes, groups, plan.experiment.data.compression
    ) as writer:
        for block in in_order(lambda part: _measured(plan, part), plan.found.blocks(rows), threads):
            if block.statistics is not None:
                statistics = block.statistics if statistics is None else statistics.joined(block.statistics)
            refusals.add(block.refused)
            _append(writer, plan, block, counts)
            done += len(block.rows) + len(block.refused)
            progress.advance(done)
        _check_counts(counts, plan)
        if statistics is None:
            raise InputError("no sample is left for training")
        writer.finish(_metadata(plan, statistics, counts, refusals), [*refusals.refused, *plan.source.refused])
    progress.end()


def _read(source: Source, recipe: Recipe, rows: np.ndarray) -> _Block:
    """Decodes and conforms rows; a sample with values that are not finite is refused."""
    block = source.read(rows)
    rows, refused = np.asarray(block.rows, np.int64), tuple(block.refused)
    if not len(rows):
        return _Block(rows, np.empty((0, *recipe.sample.array), recipe.dtype), rows, refused)
    pixels = recipe.apply(block.arrays)
    if isinstance(block.arrays, np.ndarray):
        lengths = np.full(len(rows), block.arrays.shape[1], np.int32)
    else:
        lengths = np.array([len(array) for array in block.arrays], np.int32)
    good = np.isfinite(pixels).reshape(len(rows), -1).all(1) if recipe.dtype == "float32" else np.ones(len(rows), bool)
    if good.all():
        return _Block(rows, pixels, lengths, refused)
    names, reason = source.samples.sources, "has values that are infinite or not a number"
    refused += tuple(Refused(row, names[row], reason) for row in map(int, rows[~good]))
    return _Block(rows[good], pixels[good], lengths[good], refused)


def _measured(plan: _Plan, rows: np.ndarray) -> _Block:
    block = _read(plan.source, plan.recipe, rows)
    training = plan.assignment.splits[block.rows] == TRAIN
    if not training.any():
        return block
    pixels = block.pixels if training.all() else block.pixels[training]
    return _Block(block.rows, block.pixels, block.lengths, block.refused, Statistics.of(pixels))


def _append(writer: DatasetWriter, plan: _Plan, block: _Block, counts: np.ndarray) -> None:
    samples, groups = plan.source.samples, plan.assignment.groups
    splits = plan.assignment.splits[block.rows]
    for split in np.unique(splits):
        here = splits == split
        rows = block.rows[here]
        labels = np.asarray(samples.labels)[rows].astype(np.int32)
        counts[split] += np.bincount(labels, minlength=counts.shape[1])
        writer.write(
            SPLITS[split],
            Rows(
                pixels=block.pixels if here.all() else block.pixels[here],
                labels=labels,
                sources=[samples.sources[row] for row in map(int, rows)],
                lengths=block.lengths[here],
                groups=None if groups is None else [groups[row] for row in map(int, rows)],
            ),
        )


def _check_counts(counts: np.ndarray, plan: _Plan) -> None:
    for split, name in enumerate(SPLITS):
        if not counts[split].any() and (plan.assignment.splits == split).any():
            raise InputError(f"the {name} split is empty: all of its samples are unreadable")
    for name, count in zip(plan.source.classes, counts[TRAIN], strict=True):
        if not count:
            raise InputError(f"class '{name}' is empty: all of its samples for training are unreadable")


def _metadata(plan: _Plan, statistics: Statistics, counts: np.ndarray, refusals: Refusals) -> dict[str, Any]:
    recipe = plan.recipe.to_json()
    scaling = normalisation(plan.experiment.data.normalise, np.dtype(plan.recipe.dtype), statistics)
    return {
        "format": FORMAT,
        "kind": plan.source.kind,
        "classes": list(plan.source.classes),
        "sample": recipe["sample"],
        "dtype": plan.recipe.dtype,
        "counts": {name: row.tolist() for name, row in zip(SPLITS, counts, strict=True)},
        "statistics": statistics.to_json(),
        "normalisation": scaling.to_json(),
        "recipe": recipe,
        "settings": preprocess_settings(plan.experiment, plan.source),
        "refused": {"samples": len(refusals.refused), "other": len(plan.source.refused)},
    }
