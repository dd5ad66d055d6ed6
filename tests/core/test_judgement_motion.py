"""Motion of clips against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.judgement.motion import likeness, motion, wasserstein


def clip(*levels: float) -> np.ndarray:
    return np.broadcast_to(np.array(levels, np.float32)[:, None, None, None], (len(levels), 2, 3, 1))


def test_a_steady_change_has_no_jitter_and_a_flicker_has_2() -> None:
    found = motion(np.stack([clip(0, 0.5, 1, 1.5), clip(0, 1, 0, 1), clip(3, 3, 3, 3)]))
    assert found.change.tolist() == [0.5, 1.0, 0.0]
    assert found.jitter[:2].tolist() == [0.0, 2.0]
    assert np.isnan(found.jitter[2])


def test_clips_that_are_too_short_have_no_such_number() -> None:
    two = motion(np.stack([clip(0, 2)]))
    assert (two.change.tolist(), np.isnan(two.jitter).all()) == ([2.0], True)
    assert np.isnan(motion(np.stack([clip(1)])).change).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=12), st.floats(-5, 5))
def test_the_distance_of_a_shifted_set_is_the_shift(values: list[float], shift: float) -> None:
    a = np.array(values)
    assert wasserstein(a, a + shift) == pytest.approx(abs(shift), abs=1e-9)
    assert wasserstein(np.repeat(a, 2), a) == pytest.approx(0, abs=1e-9)


def test_the_distance_of_sets_of_unequal_size_is_the_area_between_their_distributions() -> None:
    assert wasserstein(np.array([0.0, 1.0, 3.0]), np.array([5.0, 6.0, 8.0])) == pytest.approx(5)
    assert wasserstein(np.array([0.0]), np.array([0.0, 3.0])) == pytest.approx(1.5)


def test_generated_motion_stands_beside_real_with_its_floor() -> None:
    found = likeness(np.array([1.0, 3.0, np.nan]), np.array([4.0, 4.0]), np.array([5.0]))
    assert (found.ratio, found.ratio_floor, found.distance, found.distance_floor) == (0.5, 1.25, 2.0, 1.0)


def test_still_real_clips_leave_no_ratio() -> None:
    found = likeness(np.array([1.0]), np.array([0.0]), np.array([]))
    assert np.isnan([found.ratio, found.ratio_floor, found.distance_floor]).all()
    assert found.distance == 1.0
