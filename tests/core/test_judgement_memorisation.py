"""Copies of training samples are noticed; samples that are as new as the test's are not."""

from __future__ import annotations

import numpy as np
import pytest

from recurra.judgement.memorisation import Memorisation, Nearest, memorisation


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
