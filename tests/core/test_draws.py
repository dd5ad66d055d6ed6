"""Draws: pure functions of what they are for, and the same numbers for ever."""

from __future__ import annotations

import numpy as np

from recurra.draws import mixed, uniform, uniforms


def test_numbers_are_those_of_splitmix64_and_never_change() -> None:
    assert mixed(np.array([0x9E3779B97F4A7C15], np.uint64))[0] == 0xE220A8397B1DCDAF
    assert uniform(7, 3, 2, np.array([0, 1, 10**6])).tolist() == [
        0.5044632386768451, 0.9768339990502801, 0.7844554725789308,
    ]  # fmt: skip
    assert uniforms(7, 2, np.array([0, 10**9]), 2).tolist() == [
        [0.09105150638042703, 0.2285264385282625], [0.5035215511882072, 0.24758159705057547],
    ]  # fmt: skip


def test_epochs_and_streams_draw_differently_and_draws_are_uniform() -> None:
    samples = np.arange(100_000)
    first, other = uniform(0, 1, 6, samples), uniform(0, 2, 6, samples)
    assert 0 <= first.min() < first.max() < 1
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.02
    assert abs(np.corrcoef(first, uniform(0, 1, 7, samples))[0, 1]) < 0.02
    assert np.abs(np.histogram(first, 10)[0] - 10_000).max() < 500
