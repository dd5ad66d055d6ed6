"""The challenge stage: a champion answers a new dataset's test split, sample by sample beside the new network.

The champion is asked as it would be in use: its own weights, its own classes, its own preprocessing. A sample of a
class that it does not know it gets wrong, and so it does where it names a class that there is no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from recurra.champion.answering import asked, own_answers, test_answers
from recurra.champion.drift import Measure, answer_measures, class_measure, pixel_measures
from recurra.champion.duel import Duel
from recurra.champion.findings import FILE, Data, Findings, Tested
from recurra.champion.groups import Groups
from recurra.champion.profile import Profile, Scale
from recurra.champion.sameness import Known, Sameness, fingerprints, rows_at_once, sources_of
from recurra.champion.seeing import Seen, as_seen, classes_seen
from recurra.dataset import Dataset
from recurra.durable import write_json
from recurra.errors import RecurraError
from recurra.evaluation import trained
from recurra.experiment import Experiment
from recurra.predictions import Predictions
from recurra.progress import Progress
from recurra.readers.reader import Source

TRAINING, NEW = "training samples", "new samples"


@dataclass(frozen=True)
class Sides:
    """What a challenge is between: the champion's experiment, and folders and files of artifacts."""

    champion: Experiment
    champion_dataset: Path
    champion_weights: Path
    champion_predictions: Path
    """Of its own test split."""
    dataset: Path
    predictions: Path
    """The new network's, of the new dataset's test split."""


def challenge(sides: Sides, source: Callable[[], Source], folder: Path, progress: Progress) -> None:
    """Fills `folder` with challenge.json, and predictions.parquet, the champion's answers to the new test split.

    `source` opens the new dataset's source, which is needed where the champion's recipe is another.
    """
    champion, new = Dataset.open(sides.champion_dataset), Dataset.open(sides.dataset)
    with TemporaryDirectory(dir=folder.parent) as scratch:
        view = _view(champion, new, source, Path(scratch), progress)
        classifier = trained(sides.champion, champion, sides.champion_weights, progress.note).classifier
        answers = folder / "predictions.parquet"
        named = test_answers(classifier, champion, view.seen["test"], answers, progress)
        said = asked(classifier, champion, view.seen, view.fresh, progress)
    drift = (*_drift(view), *answer_measures(own_answers(sides.champion_predictions), said, view.classes, NEW))
    groups = Groups.of(new, champion)
    tested, duel, shared = _duels(view, groups, named, sides.predictions, len(champion.classes))
    fresh = sum(int(rows.sum()) for rows in view.fresh.values())
    findings = Findings(_data(champion, new, view), tested, duel, shared, drift, fresh, len(said.labels))
    write_json(folder / FILE, findings.to_json())


@dataclass(frozen=True)
class _View:
    """The new dataset as the champion sees it, by split, and beside the champion's own."""

    classes: int
    """The champion's, and those that it does not know."""
    seen: dict[str, Seen]
    same: dict[str, Sameness]
    fresh: dict[str, np.ndarray]
    """[N] bool: added or changed, and readable."""
    repeated: np.ndarray
    """[N] bool, of the test split: the new network learnt from a sample of the same pixels."""
    before: Profile
    """Of the champion's training samples."""
    after: Profile
    """Of the new training samples."""
    added: Profile
    """Of the fresh samples of all splits."""


def _view(champion: Dataset, new: Dataset, source: Callable[[], Source], scratch: Path, progress: Progress) -> _View:
    classes = len(classes_seen(new, champion))
    seen = as_seen(new, champion, source, scratch)
    known, before = _known(champion, classes, progress)
    prints = {name: fingerprints(block for _, block in split.blocks()) for name, split in seen.items()}
    same = {name: known.compare(split.sources, prints[name]) for name, split in seen.items()}
    fresh = {name: same[name].fresh & split.readable for name, split in seen.items()}
    learnt = np.concatenate([prints[name][split.readable] for name, split in seen.items() if name != "test"])
    return _View(classes, seen, same, fresh, np.isin(prints["test"], learnt), before, *_profiles(seen, fresh, before))


def _drift(view: _View) -> Iterator[Measure]:
    yield from pixel_measures(view.before, view.after, TRAINING)
    now = np.bincount(view.seen["train"].labels, minlength=view.classes)  # those that cannot be read too
    yield class_measure(view.before.counts, now, TRAINING)
    yield from pixel_measures(view.before, view.added, NEW)


def _duels(
    view: _View, groups: Groups | None, named: np.ndarray, predictions: Path, known: int
) -> tuple[Tested, Duel | None, Duel | None]:
    """Which test samples count; on them the two networks, and again where there are classes beyond the `known` ones.

    named: [N] int64, the class that the champion names for each test sample.
    """
    test = view.seen["test"]
    learnt, repeated = view.same["test"].learnt, view.repeated
    if groups is not None:
        learnt, repeated = learnt | groups.champions, repeated | groups.challengers
    tested, counted = _tested(test, view.same["test"].tested, learnt, repeated)
    theirs, ours, common = named == test.labels, _right(predictions, test), counted & (test.labels < known)
    whole, part = (
        Duel.of(theirs[rows], ours[rows], groups.numbers[rows] if groups else None) for rows in (counted, common)
    )
    return tested, whole, part if common.sum() < counted.sum() else None


def _known(champion: Dataset, classes: int, progress: Progress) -> tuple[Known, Profile]:
    """The champion's samples, and what its training samples look like."""
    profile = Profile.empty(_scale(champion), classes, champion.sample.channels)
    prints, done = [], 0
    progress.begin("champion's data", sum(map(len, champion.splits.values())), "samples")
    for name in champion.splits:
        for labels, block in _labelled(champion, name):
            prints.append(fingerprints([block]))
            if name == "train":
                profile.add(block, labels)
            done += len(block)
            progress.advance(done)
    progress.end()
    sizes = [len(split) for split in champion.splits.values()]
    tested = np.repeat([name == "test" for name in champion.splits], sizes)
    sources = pa.chunked_array([sources_of(split) for split in champion.splits.values()]).combine_chunks()
    return Known(sources, np.concatenate(prints), ~tested, tested), profile


def _labelled(dataset: Dataset, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(labels, pixels) of a split, some hundred samples at once."""
    labels, start = dataset.splits[name].labels(), 0
    for block in dataset.splits[name].blocks(rows_at_once(dataset.sample.array, dataset.dtype)):
        yield labels[start : start + len(block)], block
        start += len(block)


def _scale(champion: Dataset) -> Scale:
    if champion.dtype == np.uint8:
        return Scale()
    statistics = champion.summary["statistics"]
    return Scale(tuple(statistics["low"]), tuple(statistics["high"]))


def _profiles(seen: Mapping[str, Seen], fresh: Mapping[str, np.ndarray], like: Profile) -> tuple[Profile, Profile]:
    """What the training samples look like, and what the fresh ones of all splits do."""
    classes, _, channels = like.sums.shape
    training, added = (Profile.empty(like.scale, classes, channels) for _ in range(2))
    for name, split in seen.items():
        for rows, block in split.blocks():
            labels, new, good = split.labels[rows], fresh[name][rows], split.readable[rows]
            if new.any():
                added.add(block[new], labels[new])
            if name == "train":
                training.add(block[good], labels[good])
    return training, added


def _tested(test: Seen, own: np.ndarray, learnt: np.ndarray, repeated: np.ndarray) -> tuple[Tested, np.ndarray]:
    """Which test samples count, in numbers and as [N] bool. Each that does not is told under its first reason."""
    counted = test.readable & ~learnt & ~repeated
    parts = (counted, counted & own, test.readable & learnt, test.readable & ~learnt & repeated, ~test.readable)
    return Tested(*(int(each.sum()) for each in parts)), counted


def _right(predictions: Path, test: Seen) -> np.ndarray:
    """Which test samples the new network has right, [N] bool."""
    table = pa.Table.from_batches(list(Predictions(predictions).blocks(["source", "correct"])))
    if not table["source"].combine_chunks().equals(test.sources):
        raise RecurraError(f"{predictions}: its samples are not those of the dataset's test split; evaluate again")
    return table["correct"].to_numpy()


def _data(champion: Dataset, new: Dataset, view: _View) -> Data:
    before, after = sum(map(len, champion.splits.values())), sum(map(len, new.splits.values()))
    found = np.concatenate([each.where for each in view.same.values()])
    changed = sum(int((view.same[name].changed & split.readable).sum()) for name, split in view.seen.items())
    return Data(
        training_before=len(champion.splits["train"]),
        training_after=len(new.splits["train"]),
        test_before=len(champion.splits["test"]),
        test_after=len(new.splits["test"]),
        before=before,
        after=after,
        added=int((found < 0).sum()),
        removed=before - len(np.unique(found[found >= 0])),
        changed=changed,
        classes_added=tuple(name for name in new.classes if name not in champion.classes),
        classes_removed=tuple(name for name in champion.classes if name not in new.classes),
        prepared=new.recipe != champion.recipe,
    )
