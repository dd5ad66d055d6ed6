"""Copies of training samples are noticed; samples that are as new as the test's are not."""

from __future__ import annotations

import numpy as np
import pytest

from recurra.judgement.memorisation import Memorisation, Nearer, Nearest, memorisation, nearer


def points(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 4))


def found(generated: np.ndarray, pairs: int = 3, block: int = 70) -> Memorisation:
    train, near = points(0, 500), (Nearest(generated), Nearest(points(1, 300)))
    for start in range(0, 500, block):
        for nearest in near:
            nearest.meet(start, train[start : start + block])
    return memorisation(*near, np.arange(len(generated)) + 1000, pairs)


def test_new_samples_are_as_far_from_the_training_as_the_test_is() -> None:
    said = found(points(2, 400))
    assert said.ratio == pytest.approx(1, abs=0.15)
    assert said.share < 0.05
    assert said.expected == pytest.approx(0.01, abs=0.004)


def test_copies_are_noticed_and_named() -> None:
    generated = points(2, 100)
    generated[30:60] = points(0, 500)[200:230] + 1e-6
    said = found(generated)
    assert 0.3 <= said.share < 0.35
    assert [(pair.generated - 1030, pair.train - 200) for pair in said.pairs] == [
        (pair.generated - 1030,) * 2 for pair in said.pairs
    ]
    assert said.pairs[0].distance == pytest.approx(2e-6, rel=1e-3)


def test_exact_copies_have_distance_0_and_half_of_the_samples_is_the_median() -> None:
    said = found(np.concatenate([points(0, 500)[:60], points(2, 40)]))
    assert (said.generated, said.ratio, said.threshold > 0) == (0.0, 0.0, True)


def test_the_blocks_in_which_training_samples_come_do_not_matter() -> None:
    first, again = found(points(3, 50), block=500), found(points(3, 50), block=7)
    assert [(p.generated, p.train) for p in first.pairs] == [(p.generated, p.train) for p in again.pairs]
    assert first.share == again.share


def test_a_small_test_split_says_what_to_expect_of_it() -> None:
    generated, test, train = points(2, 50), points(1, 4), points(0, 100)
    near = Nearest(generated), Nearest(test)
    for nearest in near:
        nearest.meet(0, train)
    assert memorisation(*near, np.arange(50), 1).expected == 0.25


def test_nothing_to_compare_is_nan_and_no_pair() -> None:
    said = memorisation(Nearest(np.empty((0, 2))), Nearest(points(0, 3)[:, :2]), np.empty(0, np.int64), 4)
    assert np.isnan([said.generated, said.ratio, said.share]).all()
    assert said.pairs == ()


def three(generated: np.ndarray, seed: int = 0, width: int = 32) -> Nearer:
    train, test = (np.random.default_rng([seed, n]).normal(size=(300, width)) for n in (0, 1))
    return nearer(generated, train, test, len(train))


@pytest.mark.parametrize("spread", [1.0, 0.7, 0.2])
def test_samples_of_little_variety_are_as_near_to_the_test_as_to_the_training(spread: float) -> None:
    drawn = [np.random.default_rng([s, 2]).normal(size=(400, 32)) for s in range(40)]
    said = [three(spread * x, seed) for seed, x in enumerate(drawn)]
    assert np.mean([one.share for one in said]) == pytest.approx(0.5, abs=0.1)
    assert sum(one.low > 0.5 or one.high < 0.5 for one in said) <= 2


def test_copies_are_nearer_to_the_training() -> None:
    train = np.random.default_rng([0, 0]).normal(size=(300, 32))
    copies = train + 0.05 * np.random.default_rng(5).normal(size=train.shape)
    said = three(copies)
    assert (said.share, said.high, said.copies) == (1, 1, 1)
    assert said.low > 0.95
    some = three(np.concatenate([copies[:60], np.random.default_rng(6).normal(size=(140, 32))]))
    assert some.low > 0.5


def test_a_generator_of_one_sample_proves_nothing() -> None:
    said = three(np.zeros((400, 32)))
    assert said.share in (0, 1)
    assert said.low < 0.5 < said.high


def test_a_sample_that_is_in_both_splits_counts_half() -> None:
    x = points(0, 50)
    assert nearer(x, x, x, 50).share == 0.5


@pytest.mark.parametrize("bad", [np.empty((0, 4)), np.full((3, 4), np.nan)])
def test_what_has_no_distance_is_nearer_to_nothing(bad: np.ndarray) -> None:
    assert np.isnan(nearer(bad, points(0, 9), points(1, 9), 9).share)
