"""Distances agree with what can be worked out by hand, with the formulas written plainly, and with what they mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.judgement import distances
from recurra.judgement.distances import diversity, frechet, kernel, kernel_error, precision_recall, squared_distances


def points(seed: int, count: int, width: int = 3, mean: float = 0.0, scale: float = 1.0) -> np.ndarray:
    return mean + scale * np.random.default_rng(seed).normal(size=(count, width))


def exactly(mean: np.ndarray, deviations: np.ndarray, count: int = 200) -> np.ndarray:
    """Points whose mean and (diagonal) covariance are these to the last digits."""
    drawn = points(0, count, len(mean))
    drawn -= drawn.mean(axis=0)
    drawn = drawn @ np.linalg.inv(np.linalg.cholesky(np.cov(drawn, rowvar=False))).T
    return drawn * deviations + mean


def test_frechet_of_two_normal_distributions_is_their_formula() -> None:
    # |m - n|^2 + sum (s - t)^2 where the covariances are diagonal
    x = exactly(np.array([1.0, 2.0]), np.array([3.0, 1.0]))
    y = exactly(np.array([0.0, 0.0]), np.array([1.0, 0.5]))
    assert frechet(x, y) == pytest.approx(5 + 4 + 0.25, rel=1e-9)


def test_frechet_of_covariances_that_do_not_commute_is_the_trace_of_the_root() -> None:
    x, y = points(0, 300) @ points(1, 3), points(2, 200) @ points(3, 3) + 1
    c, d = (np.cov(z, rowvar=False) for z in (x, y))
    root = np.sqrt(np.linalg.eigvals(c @ d).astype(complex)).real.sum()
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(c) + np.trace(d) - 2 * root
    assert frechet(x, y) == pytest.approx(expected, rel=1e-9)


def test_frechet_is_sound_where_covariances_are_singular() -> None:
    flat = points(0, 50, 6) * [1, 1, 0, 0, 0, 0]
    assert frechet(flat, flat) == pytest.approx(0, abs=1e-12)
    assert frechet(flat[:3], flat[:3] + 2) == pytest.approx(6 * 4)
    assert frechet(np.ones((4, 2)), np.zeros((4, 2))) == pytest.approx(2)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(2, 30), st.integers(1, 5))
def test_frechet_is_symmetric_never_negative_and_0_between_equals(seed: int, n: int, m: int, width: int) -> None:
    x, y = points(seed, n, width), points(seed + 1, m, width, mean=0.5)
    assert frechet(x, y) >= 0
    assert frechet(x, y) == pytest.approx(frechet(y, x), rel=1e-6, abs=1e-9)
    assert frechet(x, x) == pytest.approx(0, abs=1e-9)


def test_kernel_is_the_unbiased_estimate_written_plainly() -> None:
    x, y = points(0, 7), points(1, 5, mean=1.0)
    k = lambda a, b: (a @ b / 3 + 1) ** 3  # noqa: E731
    within_x = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    within_y = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    between = np.mean([k(a, b) for a in x for b in y])
    assert kernel(x, y) == pytest.approx(within_x + within_y - 2 * between, rel=1e-10)


def test_kernel_is_around_0_between_draws_of_one_distribution_and_grows_with_the_distance() -> None:
    same = [kernel(points(2 * n, 60), points(2 * n + 1, 60)) for n in range(40)]
    assert min(same) < 0 < max(same)
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(40)
    near, far = (kernel(points(0, 200), points(1, 200, mean=shift)) for shift in (0.5, 1.0))
    assert max(same) < near < far


def test_the_kernel_error_is_the_jackknife_written_plainly() -> None:
    x, y = points(0, 7), points(1, 5, mean=1.0)
    left = [[kernel(np.delete(x, i, 0), y) for i in range(7)], [kernel(x, np.delete(y, i, 0)) for i in range(5)]]
    variance = sum((len(one) - 1) * np.var(one) for one in left)
    assert kernel_error(x, y) == pytest.approx(np.sqrt(variance), rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_the_kernel_error_is_as_large_as_chance_and_not_much_larger(shift: float) -> None:
    pairs = [(points(2 * n, 80), points(2 * n + 1, 80, mean=shift)) for n in range(60)]
    told, found = np.median([kernel_error(*pair) for pair in pairs]), np.std([kernel(*pair) for pair in pairs])
    assert 0.6 < told / found < 2.5
    assert np.isnan(kernel_error(points(0, 2), points(1, 2)))


def test_equal_sets_cover_each_other() -> None:
    x = points(0, 40)
    assert precision_recall(x, x) == (1.0, 1.0)


def test_a_collapsed_set_is_precise_and_has_no_recall() -> None:
    real = points(0, 100)
    collapsed = np.repeat(real[:1], 100, axis=0)
    precision, recall = precision_recall(real, collapsed)
    assert (precision, recall) == (1.0, 0.01)


def test_half_of_two_clusters_is_half_the_recall_and_noise_costs_precision() -> None:
    clusters = np.concatenate([points(0, 50), points(1, 50, mean=100)])
    precision, recall = precision_recall(clusters, clusters[:50])
    assert (precision, recall) == (1.0, 0.5)
    noisy = np.concatenate([clusters[:50], points(2, 50, mean=-100)])
    assert precision_recall(clusters, noisy)[0] == 0.5


def test_precision_and_recall_change_places_with_the_sets() -> None:
    x, y = points(0, 30), points(1, 40, mean=1)
    assert precision_recall(x, y) == precision_recall(y, x)[::-1]


def test_neighbours_beyond_the_set_are_as_many_as_there_are() -> None:
    real, made = np.array([[0.0], [1.0], [3.0]]), np.array([[4.0], [5.5]])
    # Balls of radius 3, 2 and 3 around the real points; 1.5 around the generated ones.
    assert precision_recall(real, made, neighbours=50) == (1.0, pytest.approx(1 / 3))


def test_diversity_is_the_ratio_of_mean_pairwise_distances_of_each_class() -> None:
    real = np.array([[0.0], [2.0], [4.0], [0.0], [1.0], [7.0]])
    made = np.array([[10.0], [11.0], [12.0], [5.0], [5.0]])
    found = diversity(real, np.array([0, 0, 0, 1, 1, 2]), made, np.array([0, 0, 0, 1, 1]), 3)
    np.testing.assert_allclose(found, [0.5, 0.0, np.nan])


def test_blocks_do_not_change_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, labels = points(0, 50), points(1, 40, mean=0.3), np.zeros(50, int)
    whole = [kernel(x, y), *precision_recall(x, y), diversity(x, labels, y, labels[:40], 1)[0]]
    monkeypatch.setattr(distances, "BLOCK", 90)
    again = [kernel(x, y), *precision_recall(x, y), diversity(x, labels, y, labels[:40], 1)[0]]
    assert again == pytest.approx(whole, rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-1e6, 1e6), st.floats(1e-3, 1e3))
def test_equal_points_are_exactly_0_apart_wherever_they_lie(seed: int, mean: float, scale: float) -> None:
    x = points(seed, 20, 8, mean, scale)
    assert (np.diag(squared_distances(x, x)) == 0).all()


@pytest.mark.parametrize("bad", [np.empty((0, 2)), np.zeros((1, 2)), np.array([[np.nan, 0], [0, 1]])])
def test_what_cannot_be_told_is_nan(bad: np.ndarray) -> None:
    good = points(0, 5, 2)
    assert np.isnan([frechet(good, bad), kernel(bad, good), *precision_recall(good, bad)]).all()
