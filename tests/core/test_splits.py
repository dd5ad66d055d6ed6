"""Which sample is for training, validation and test."""

import numpy as np
import pytest

from recurra.errors import InputError
from recurra.experiment import Data, Group
from recurra.readers.reader import Samples
from recurra.splits import SPLITS, assign, draws_by_seed


def samples(sources, labels=None, splits=None, groups=None) -> Samples:
    labels = [row % 2 for row in range(len(sources))] if labels is None else labels
    own = np.array(splits if splits is not None else [""] * len(sources))
    return Samples(sources, np.array(labels, np.int32), own, groups or {})


def data(**fields) -> Data:
    return Data(source="x", **fields)


def named(assignment) -> list[str]:
    return [SPLITS[index] if index >= 0 else "" for index in assignment.splits]


HUNDRED = [f"{'ab'[row % 2]}/{row:03}.png" for row in range(100)]
RECORDINGS = [f"{'ab'[row % 2]}/rec{row // 2 % 5}_{row}.npy" for row in range(50)]


def test_a_random_split_holds_out_the_same_part_of_each_class():
    labels = [0] * 80 + [1] * 20
    assigned = assign(samples(HUNDRED, labels), "ab", data(test_fraction=0.2, validation_fraction=0.25), 0)
    counts = [np.bincount(np.array(labels)[assigned.splits == split]).tolist() for split in range(3)]
    assert counts == [[48, 12], [16, 4], [16, 4]]


def test_the_split_does_not_depend_on_the_order_of_the_files():
    order = np.random.default_rng(0).permutation(100)
    forwards = named(assign(samples(HUNDRED), "ab", data(), 3))
    shuffled = samples([HUNDRED[row] for row in order], [row % 2 for row in order])
    assert named(assign(shuffled, "ab", data(), 3)) == [forwards[row] for row in order]


def test_another_seed_draws_another_split():
    assert named(assign(samples(HUNDRED), "ab", data(), 0)) != named(assign(samples(HUNDRED), "ab", data(), 1))


def test_the_sources_own_splits_stay_as_they_are():
    own = ["train", "validation", "test", ""] * 25
    labels = [row // 4 % 2 for row in range(100)]
    assigned = named(assign(samples(HUNDRED, labels, own), "ab", data(), 0))
    assert assigned == [name or "train" for name in own]


@pytest.mark.parametrize(
    "group", [Group(pattern=r"^(rec\d)"), Group(pattern=r"rec\d"), Group(column="take"), Group(folder=0)]
)
def test_a_group_is_never_parted(group):
    takes = [f"take{row % 6}" for row in range(48)]
    sources = [f"{takes[row]}/{'ab'[row // 6 % 2]}/rec{row % 6}_{row}.npy" for row in range(48)]
    known = samples(sources, [row // 6 % 2 for row in range(48)], groups={"take": takes})
    assigned = assign(known, "ab", data(test_group=group, validation_group=group), 0)
    assert len({(take, split) for take, split in zip(takes, named(assigned), strict=True)}) == 6
    assert set(named(assigned)) == set(SPLITS)
    assert len(set(assigned.groups)) == 6


def test_groups_that_are_named_are_held_out():
    group = Group(pattern=r"^(rec\d)", hold_out=["rec1", "rec3"])
    assigned = assign(samples(RECORDINGS), "ab", data(test_group=group, validation_fraction=0), 0)
    assert named(assigned) == ["test" if "rec1" in s or "rec3" in s else "train" for s in RECORDINGS]


def test_samples_without_a_label_or_not_usable_get_no_split():
    usable = np.arange(100) != 7
    assigned = named(
        assign(samples(HUNDRED, [row % 2 if row != 4 else -1 for row in range(100)]), "ab", data(), 0, usable)
    )
    assert [row for row, name in enumerate(assigned) if not name] == [4, 7]


def test_shared_groups_between_the_sources_own_splits_are_told():
    own = ["test" if row % 10 == 0 else "train" for row in range(50)]
    group = Group(pattern=r"^(rec\d)", hold_out=["rec1"])
    known = samples(RECORDINGS, [row // 10 % 2 for row in range(50)], own)
    assert any("rec0" in note for note in assign(known, "ab", data(validation_group=group), 0).notes)


def test_a_class_that_the_test_lacks_is_told():
    group = Group(folder=0, hold_out=["a"])
    known = samples([*(f"a/{i}" for i in range(9)), *(f"b/{i}" for i in range(9))], [0] * 12 + [1] * 6)
    notes = assign(known, "ab", data(test_group=group, validation_fraction=0), 0).notes
    assert notes == ("the test split has no sample of b",)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"test_group": {"pattern": r"^(person\d)"}}, r"data.test_group: the pattern .* is not in 'a/rec0_0.npy'"),
        ({"test_group": {"folder": 3}}, "folder level 3 is not in 'a/rec0_0.npy'"),
        ({"test_group": {"pattern": r"^(rec\d)", "hold_out": "rec9"}}, "no training group 'rec9'. Did you mean 'rec"),
        ({"test_group": {"column": "who"}}, "no column 'who'"),
        ({"test_group": {"pattern": "rec"}}, "one group, 'rec', has all samples"),
        ({"test_group": {"folder": 0, "hold_out": ["a"]}}, "class 'a' has no sample left for training"),
        ({"test_group": {"folder": 0, "hold_out": ["a", "b"]}}, "all 2 groups are held out"),
        ({"test_fraction": 0}, "the test split is empty: data.test_fraction is 0"),
    ],
)
def test_a_split_that_cannot_be_made_says_why(fields, message):
    with pytest.raises(InputError, match=message):
        assign(samples(RECORDINGS), "ab", data(**fields), 0)


@pytest.mark.parametrize("hold_out", [None, ["rec1"]])
def test_the_validation_is_split_by_the_tests_groups_unless_it_has_its_own(hold_out):
    group = Group(pattern=r"^(rec\d)", hold_out=hold_out)
    assigned = assign(samples(RECORDINGS, [row // 10 % 2 for row in range(50)]), "ab", data(test_group=group), 0)
    splits = {(source[2:6], split) for source, split in zip(RECORDINGS, named(assigned), strict=True)}
    assert len(splits) == 5
    assert {split for _, split in splits} == set(SPLITS)


def test_a_held_out_part_that_is_far_from_what_was_asked_for_is_told():
    pairs = samples([f"{row:03}.png" for row in range(300)], [row // 3 for row in range(300)])
    notes = assign(pairs, [str(row) for row in range(100)], data(test_fraction=0.1, validation_fraction=0.5), 0).notes
    assert notes == ("the test split has 33.3% of the samples, and data.test_fraction is 0.1",)
    whole = data(test_group=Group(folder=0), test_fraction=0.01, validation_fraction=0)
    recordings = samples([f"{row % 4}/{row}.png" for row in range(40)], [row // 4 % 2 for row in range(40)])
    assert assign(recordings, "ab", whole, 0).notes == (
        "the test split has 25.0% of the samples, and data.test_fraction is 0.01",
    )


def test_a_validation_for_which_the_test_left_too_little_says_so():
    with pytest.raises(InputError, match=r"after the test was taken; set data.validation_fraction: 0 or lower"):
        assign(samples(HUNDRED[:4]), "ab", data(), 0)
    own = samples(HUNDRED[:4], splits=["train", "train", "test", "test"])
    with pytest.raises(InputError, match=r"no class has two samples for training.*; set data.validation_fraction: 0"):
        assign(own, "ab", data(), 0)


def test_a_group_for_a_split_that_the_source_has_is_refused():
    own = ["test" if row < 10 else "train" for row in range(50)]
    with pytest.raises(InputError, match=r"data.test_group: the source has a test split of its own"):
        assign(samples(RECORDINGS, splits=own), "ab", data(test_group={"folder": 0}), 0)


def test_a_class_of_one_sample_stays_in_the_training():
    assigned = assign(samples(HUNDRED[:11], [0] * 10 + [1]), "ab", data(), 0)
    assert named(assigned)[10] == "train"


def test_the_seed_matters_only_where_something_is_drawn():
    held = {"pattern": r"^(rec\d)", "hold_out": "rec1"}
    own = samples(RECORDINGS, splits=["test", "train"] * 25)
    assert draws_by_seed(data(validation_group=held))
    assert not draws_by_seed(data(validation_group=held), own)
    assert draws_by_seed(data(), own)


def test_a_part_of_the_training_is_used_and_the_rest_of_the_split_stays():
    labels = [0] * 80 + [1] * 20
    whole = assign(samples(HUNDRED, labels), "ab", data(), 0).splits
    part = assign(samples(HUNDRED, labels), "ab", data(train_fraction=0.25), 0).splits
    counts = np.bincount(np.array(labels)[part == 0]).tolist()
    assert counts == [round(n / 4) for n in np.bincount(np.array(labels)[whole == 0])]
    assert ((whole == 1) == (part == 1)).all()
    assert ((whole == 2) == (part == 2)).all()


def test_a_smaller_part_lies_within_a_larger_one_and_seeds_draw_others():
    def used(fraction, seed=0):
        return set(np.flatnonzero(assign(samples(HUNDRED), "ab", data(train_fraction=fraction), seed).splits == 0))

    assert used(0.05) < used(0.1) < used(0.5) < used(1.0)
    assert used(0.5, seed=1) != used(0.5)
    assert draws_by_seed(data(train_fraction=0.5, validation_fraction=0, test_group={"folder": 0, "hold_out": "a"}))


def test_the_least_part_leaves_each_class_a_sample():
    assigned = assign(samples(HUNDRED), "ab", data(train_fraction=0.001), 0)
    assert (assigned.splits == 0).sum() == 2
