"""Augmentation: a pure function of (seed, epoch, sample), and what each change does to the pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.augmentation import augmented, check
from recurra.errors import InputError
from recurra.experiment import Augment


def clips(n: int = 64, frames: int = 6, size: int = 5) -> np.ndarray:
    return np.random.default_rng(0).random((n, frames, size, size, 2), np.float32) + 1


EVERYTHING = Augment(flip="both", shift=2, rotate=True, brightness=0.5, temporal_crop=0.5, temporal_reverse=True)


@given(st.permutations(range(16)), st.integers(0, 2**32 - 1), st.integers(1, 1000))
def test_a_sample_is_changed_the_same_way_in_whatever_batch_it_stands(order: list[int], seed: int, epoch: int) -> None:
    x, samples = clips(16), np.arange(16)
    whole = augmented(x.copy(), EVERYTHING, seed, epoch, samples)
    shuffled = augmented(x[order].copy(), EVERYTHING, seed, epoch, samples[order])
    assert np.array_equal(whole[order], shuffled)


def test_a_flip_mirrors_about_half_of_the_samples_and_leaves_the_others() -> None:
    x = clips()
    changed = augmented(x.copy(), Augment(flip="horizontal"), 0, 1, np.arange(64))
    mirrored = [np.array_equal(changed[n], x[n, :, :, ::-1]) for n in range(64)]
    kept = [np.array_equal(changed[n], x[n]) for n in range(64)]
    assert all(a != b for a, b in zip(mirrored, kept, strict=True))
    assert 20 < sum(mirrored) < 44


def test_a_shift_moves_by_whole_pixels_and_uncovers_zeros() -> None:
    x = np.ones((200, 1, 5, 5, 1), np.float32)
    changed = augmented(x.copy(), Augment(shift=2), 0, 1, np.arange(200))
    covered = {int(sample.sum()) for sample in changed}
    assert covered == {a * b for a in (3, 4, 5) for b in (3, 4, 5)}


def test_a_rotation_is_one_of_four() -> None:
    x = clips()
    changed = augmented(x.copy(), Augment(rotate=True), 0, 1, np.arange(64))
    turns = [[np.array_equal(changed[n], np.rot90(x[n], k, (1, 2))) for k in range(4)].index(True) for n in range(64)]
    assert set(turns) == {0, 1, 2, 3}


def test_time_is_cropped_in_order_and_reversed_whole() -> None:
    x = np.broadcast_to(np.arange(10, dtype=np.float32)[None, :, None, None, None], (50, 10, 2, 2, 1)).copy()
    cropped = augmented(x.copy(), Augment(temporal_crop=0.5), 0, 1, np.arange(50))[:, :, 0, 0, 0]
    assert (np.diff(cropped, axis=1) >= 0).all()
    assert 5 <= np.ptp(cropped, axis=1).min() + 1 < np.ptp(cropped, axis=1).max() + 1 <= 10
    reverse = augmented(x.copy(), Augment(temporal_reverse=True), 0, 1, np.arange(50))[:, :, 0, 0, 0]
    assert {tuple(row) for row in reverse} == {tuple(range(10)), tuple(range(9, -1, -1))}


def test_brightness_adds_one_number_to_a_sample() -> None:
    x = clips()
    change = augmented(x.copy(), Augment(brightness=0.25), 0, 1, np.arange(64)) - x
    assert np.ptp(change, axis=(1, 2, 3, 4)).max() < 1e-6
    assert 0.2 < np.abs(change).max() <= 0.2501


def test_rotation_of_oblongs_is_refused() -> None:
    with pytest.raises(InputError, match=r"needs square samples, these are 4x6; set data\.size"):
        check(Augment(rotate=True), 4, 6)
