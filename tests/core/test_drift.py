"""Drift: what has moved is told, what chance moves is not."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.champion.drift import Measure, Said, answer_measures, class_measure, pixel_measures
from recurra.champion.mix import Mix, Values
from recurra.champion.profile import Profile, Scale
from recurra.champion.rules import Rules
from recurra.champion.sameness import fingerprints, rows_at_once

RULES = Rules()


def profile(pixels: np.ndarray, labels: np.ndarray, classes: int = 10, scale: Scale | None = None) -> Profile:
    found = Profile.empty(scale or Scale(), classes, pixels.shape[-1])
    for start in range(0, len(pixels), 500):
        found.add(pixels[start : start + 500], labels[start : start + 500])
    return found


def alarms(before: Profile, after: Profile) -> set[str]:
    measures = [*pixel_measures(before, after, "x"), class_measure(before.counts, after.counts, "x")]
    return {each.name for each in measures if each.alarms(RULES.threshold(each.name))}


@pytest.fixture(scope="module")
def clothes(fashion_mnist: Path) -> tuple[np.ndarray, np.ndarray]:
    """10,000 training images [N, 1, 28, 28, 1] and their labels, in another order than published."""
    images, labels = (
        gzip.decompress((fashion_mnist / f"train-{part}-ubyte.gz").read_bytes())
        for part in ("images-idx3", "labels-idx1")
    )
    rows = np.random.default_rng(0).permutation(60_000)[:10_000]
    return (
        np.frombuffer(images, np.uint8, offset=16).reshape(-1, 1, 28, 28, 1)[rows],
        np.frombuffer(labels, np.uint8, offset=8)[rows].astype(np.int64),
    )


def test_halves_of_real_data_that_were_drawn_at_random_raise_no_alarm(clothes: tuple[np.ndarray, np.ndarray]) -> None:
    pixels, labels = clothes
    for seed in range(5):
        rows = np.random.default_rng(seed).permutation(len(labels))
        halves = [profile(pixels[half], labels[half]) for half in (rows[:5000], rows[5000:])]
        assert alarms(*halves) == set()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda x: 255 - x, {"brightness", "pixels"}),
        (lambda x: (x * 0.8).astype(np.uint8), {"brightness", "contrast", "pixels"}),
        (lambda x: np.clip(x.astype(int) + 16, 0, 255).astype(np.uint8), {"brightness", "pixels"}),
    ],
    ids=["inverted", "darkened", "brightened"],
)
def test_real_images_that_were_changed_raise_an_alarm(clothes, change, told) -> None:
    pixels, labels = clothes
    assert alarms(profile(pixels[:5000], labels[:5000]), profile(change(pixels[5000:]), labels[5000:])) == told


def test_a_class_that_is_three_times_as_frequent_is_an_alarm_of_the_classes_alone(clothes) -> None:
    pixels, labels = clothes
    rows = np.arange(5000, 10_000)
    trousers = rows[labels[rows] == 1]
    rows = np.concatenate([rows, trousers, trousers])
    assert alarms(profile(pixels[:5000], labels[:5000]), profile(pixels[rows], labels[rows])) == {"classes"}


def test_floats_of_any_range_are_measured_on_the_champions_scale() -> None:
    random = np.random.default_rng(0)
    degrees = random.normal(30_000, 2, (2000, 3, 4, 4, 1)).astype(np.float32)
    labels = random.integers(0, 3, 2000)
    scale = Scale((float(degrees[:1000].min()),), (float(degrees[:1000].max()),))
    before, same = (profile(degrees[rows], labels[rows], 3, scale) for rows in (slice(1000), slice(1000, 2000)))
    assert alarms(before, same) == set()
    warmer = profile(degrees[1000:] + np.float32(2), labels[1000:], 3, scale)
    assert alarms(before, warmer) == {"brightness", "pixels"}


def test_the_measures_are_those_worked_out_by_hand() -> None:
    pixels = np.array([10, 20, 30, 40], np.uint8).reshape(4, 1, 1, 1, 1)
    before = profile(pixels, np.zeros(4, np.int64), 1)
    after = profile(pixels + np.uint8(5), np.zeros(4, np.int64), 1)
    brightness = next(pixel_measures(before, after, "x"))
    assert (brightness.before, brightness.after, brightness.samples) == (25, 30, 4)
    assert brightness.value == pytest.approx(5 / np.sqrt(125))
    # The variance of both is 500 / 3; Student's t of 6 degrees of freedom exceeds 5.9588 once in 2,000 times.
    assert brightness.chance == pytest.approx(5.9588 * np.sqrt(500 / 3 * (0.25 + 0.25) / 125), rel=1e-4)
    # 0.25 ln(0.75/0.5) - 0.25 ln(0.25/0.5), with half a sample in each bin beside.
    classes = class_measure(np.array([500, 500]), np.array([750, 250]), "x")
    assert classes.value == pytest.approx(0.25 * np.log(1.5) + 0.25 * np.log(2), rel=5e-3)
    assert classes.chance == pytest.approx(10.828 * 0.002, rel=1e-3)


def test_shares_are_compared_at_the_class_shares_of_the_new_samples() -> None:
    mix = Mix.of(np.array([100, 300, 0]), np.array([30, 10, 7]))
    assert mix is not None
    assert mix.weights.tolist() == [0.75, 0.25, 0]
    assert mix.samples == 40
    assert mix.effective == pytest.approx(1 / (0.75**2 / 100 + 0.25**2 / 300))
    assert Mix.of(np.array([0, 4]), np.array([3, 0])) is None


def test_a_champion_that_names_other_classes_or_is_less_sure_is_told() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 3000)
    sure = random.uniform(0.8, 1, 3000)
    before = Said(labels, labels, sure)
    same, other = Said(labels[:900], labels[:900], sure[:900]), Said(labels[:900], (labels[:900] + 1) % 4, sure[:900])
    unsure = Said(labels[:900], labels[:900], sure[:900] / 2)

    def told(after: Said) -> set[str]:
        found = answer_measures(before, after, 4, "x")
        return {each.name for each in found if each.alarms(RULES.threshold(each.name))}

    # All classes are named as often as before, and of each class another.
    assert [told(after) for after in (same, other, unsure)] == [set(), set(), {"confidence"}]
    assert told(Said(labels[:900], np.zeros(900, np.int64), sure[:900])) == {"predictions"}


def test_chance_is_seldom_exceeded_where_the_new_samples_are_of_a_class_that_spreads_more() -> None:
    random = np.random.default_rng(0)
    labels, new, shares = np.repeat(np.arange(10), 100), np.full(60, 9), ((0.97, 0.01, 0.02), (0.2, 0.4, 0.4))
    beyond = 0
    for _ in range(400):
        sure = np.where(labels == 9, random.beta(3, 2, 1000), random.beta(50, 1, 1000))
        named = np.concatenate([random.choice(3, 900, p=shares[0]), random.choice(3, 100, p=shares[1])])
        before, after = Said(labels, named, sure), Said(new, random.choice(3, 60, p=shares[1]), random.beta(3, 2, 60))
        beyond += sum(abs(each.value) > each.chance for each in answer_measures(before, after, 10, "x"))
    assert beyond <= 4  # of 800, once in 1,000 is expected


def test_where_the_champions_samples_do_not_differ_what_is_beyond_chance_is_a_large_shift() -> None:
    mix = Mix(np.array([50]), np.array([50]))
    dark, noise = Values(np.array([0.0]), np.array([0.0])), np.random.default_rng(0).normal(3, 1, 50)
    *_, value, chance = mix.shift(dark, Values(noise.sum(keepdims=True), (noise**2).sum(keepdims=True)), 0.0)
    assert value > chance > 0
    assert mix.shift(dark, dark, 0.0)[2:] == (0, 0)


def test_few_samples_raise_no_alarm_until_they_are_beyond_chance() -> None:
    assert not Measure("brightness", "x", None, 0.0, 0.0, -0.3, 0.33, 100).alarms(0.2)
    assert Measure("brightness", "x", None, 0.0, 0.0, -0.34, 0.33, 100).alarms(0.2)
    assert not Measure("brightness", "x", None, 0.0, 0.0, -0.1, 0.03, 9000).alarms(0.2)


def test_of_large_samples_fewer_are_looked_at_together() -> None:
    assert rows_at_once((1, 28, 28, 1), np.uint8) == 512
    assert rows_at_once((30, 128, 128, 3), np.uint8) == 2
    assert rows_at_once((300, 512, 512, 3), np.float32) == 1


@given(st.integers(1, 30), st.integers(0, 2**32 - 1), st.data())
def test_fingerprints_are_equal_where_the_pixels_are_and_nowhere_else(
    size: int, seed: int, data: st.DataObject
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (6, size), dtype=np.uint8)
    whole = fingerprints([pixels])
    assert (whole == fingerprints([pixels[:2], pixels[2:]])).all()
    changed = pixels.copy()
    row, column = data.draw(st.integers(0, 5)), data.draw(st.integers(0, size - 1))
    changed[row, column] ^= data.draw(st.integers(1, 255))
    differs = fingerprints([changed]) != whole
    assert differs.tolist() == [each == row for each in range(6)]
