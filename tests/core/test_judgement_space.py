"""The space keeps what varies, on a scale of its own, whatever the features are; samples are drawn evenly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.errors import InputError
from recurra.judgement import space as space_module
from recurra.judgement.drawing import at_most, evenly, shares
from recurra.judgement.space import Space


def features(seed: int, count: int, width: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (3 + random.normal(size=(count, width)) * 2.0 ** -np.arange(width)).astype(np.float32)


def test_components_are_uncorrelated_centred_and_vary_by_1_on_average() -> None:
    x = features(0, 300, 12)
    points = Space.of(x, 5).project(x)
    covariance = np.cov(points, rowvar=False)
    assert points.mean(axis=0) == pytest.approx(np.zeros(5), abs=1e-5)
    assert np.trace(covariance) == pytest.approx(5, rel=1e-5)
    assert covariance == pytest.approx(np.diag(np.diag(covariance)), abs=1e-5)
    assert np.diag(covariance)[0] == covariance.max()


def test_distances_keep_their_proportions_where_no_component_is_left_out() -> None:
    x = features(1, 40, 6)
    points = Space.of(x, 6).project(x)
    ratios = np.linalg.norm(points[1:] - points[0], axis=1) / np.linalg.norm(x[1:] - x[0], axis=1)
    assert ratios == pytest.approx(np.full(39, ratios[0]), rel=1e-4)


@pytest.mark.parametrize(("count", "width", "rank"), [(4, 20, 3), (50, 3, 3), (2, 700, 1)])
def test_there_are_no_more_components_than_samples_and_features_allow(count: int, width: int, rank: int) -> None:
    x = np.random.default_rng(0).normal(size=(count, width)).astype(np.float32)
    assert Space.of(x, 64).components == rank


def test_dead_features_are_no_components() -> None:
    x = features(0, 100, 4)
    assert Space.of(np.concatenate([x, np.zeros((100, 30), np.float32)], axis=1), 20).components == 4


def test_the_sketch_finds_what_the_decomposition_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    x = features(0, 400, 40)
    exact = Space.of(x, 8).project(x)
    monkeypatch.setattr(space_module, "EXACT", 10)
    sketched = Space.of(x, 8, seed=3)
    gram = lambda p: p @ p.T  # noqa: E731 - axes may have the other sign
    np.testing.assert_allclose(gram(sketched.project(x)), gram(exact), atol=1e-3 * np.abs(gram(exact)).max())
    assert (Space.of(x, 8, seed=3).axes == sketched.axes).all()


@pytest.mark.parametrize(
    ("broken", "why"), [(np.ones((9, 4)), "do not differ"), (np.full((9, 4), np.nan), "are not finite")]
)
def test_a_judge_that_sees_nothing_is_refused_with_what_to_do(broken: np.ndarray, why: str) -> None:
    with pytest.raises(InputError, match=rf"evaluate\.gan\.recogniser: its features of 9 real samples {why}"):
        Space.of(broken.astype(np.float32), 3)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.integers(0, 200))
def test_shares_are_as_equal_as_the_classes_allow(available: list[int], count: int) -> None:
    have = np.array(available)
    taken = shares(have, count)
    assert taken.sum() == min(count, have.sum())
    assert ((taken >= 0) & (taken <= have)).all()
    short = taken < have
    assert not short.any() or taken[short].min() >= taken.max() - 1


def test_rows_are_spread_over_each_class() -> None:
    labels = np.array([0, 1] * 10 + [2] * 4)
    assert evenly(labels, np.array([5, 2, 0])).tolist() == [0, 1, 4, 8, 11, 12, 16]
    assert evenly(labels, np.array([0, 0, 4])).tolist() == [20, 21, 22, 23]


def test_fewer_samples_keep_the_proportions_and_every_class() -> None:
    assert at_most(np.array([500, 300, 1, 0]), 80).tolist() == [49, 29, 1, 0]
    assert at_most(np.array([5, 3]), 80).tolist() == [5, 3]
