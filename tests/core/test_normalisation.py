"""Background, statistics, scale and offset."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.experiment import Normalise
from recurra.normalisation import Normalisation, Statistics, normalisation, remove_background


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_pixels_are_scaled_and_shifted_per_channel(dtype):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 5, 3)).astype(dtype)
    scale, offset = np.float32([0.5, 0.25, 2]), np.float32([0, -1, 3])
    out = np.empty(pixels.shape, np.float32)
    result = Normalisation(tuple(scale.tolist()), tuple(offset.tolist())).apply(pixels, out)
    assert result is out
    assert (out == pixels.astype(np.float32) * scale + offset).all()


def test_it_applies_to_arrays_that_are_not_contiguous():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 1, 6, 6, 3), dtype=np.uint8)[:, :, ::2, ::-1]
    applied = Normalisation((1.0, 2.0, 3.0), (0.0, 0.0, 1.0)).apply(pixels)
    assert (applied == pixels * np.float32([1, 2, 3]) + np.float32([0, 0, 1])).all()


def test_it_survives_json_to_the_last_bit():
    made = normalisation(Normalise(scale="standard"), np.dtype("uint8"), Statistics.of(np.uint8([[1], [2], [4]])))
    assert Normalisation.from_json(json.loads(json.dumps(made.to_json()))) == made


@given(st.lists(st.integers(0, 255), min_size=2, max_size=50), st.data())
def test_statistics_of_bytes_do_not_depend_on_the_blocks(values, data):
    pixels = np.array(values, np.uint8).reshape(-1, 1)
    cut = data.draw(st.integers(1, len(values) - 1))
    whole = Statistics.of(pixels)
    assert Statistics.of(pixels[:cut]).joined(Statistics.of(pixels[cut:])) == whole
    assert whole.std[0] == pytest.approx(pixels.std(dtype=np.float64), abs=1e-12)


def test_statistics_of_floats_stay_exact_far_from_zero():
    pixels = np.random.default_rng(0).normal((1000, 0), 0.01, (400, 2)).astype(np.float32)
    joined = Statistics.of(pixels[:100])
    for start in range(100, 400, 100):
        joined = joined.joined(Statistics.of(pixels[start : start + 100]))
    assert joined.std == pytest.approx(pixels.std(0, dtype=np.float64).tolist(), rel=1e-9)
    assert joined.mean == pytest.approx(pixels.mean(0, dtype=np.float64).tolist(), rel=1e-12)


def test_standard_gives_mean_zero_and_deviation_one_and_a_constant_channel_becomes_zero():
    pixels = np.stack([np.random.default_rng(0).normal(5, 3, 1000), np.full(1000, 7)], -1).astype(np.float32)
    values = normalisation(Normalise(), pixels.dtype, Statistics.of(pixels)).apply(pixels)
    assert values.mean(0) == pytest.approx([0, 0], abs=1e-5)
    assert values.std(0) == pytest.approx([1, 0], abs=1e-5)


def test_auto_divides_bytes_by_255():
    made = normalisation(Normalise(), np.dtype("uint8"), Statistics.of(np.uint8([[0], [255]])))
    assert made.apply(np.uint8([[255]])).tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("none", [[0, 1, 5], [10, 11, 18]]),
        ("frame_median", [[-1, 0, 4], [-1, 0, 7]]),
        ("frame_mean", [[-2, -1, 3], [-3, -2, 5]]),
        ("clip_median", [[-7.5, -6.5, -2.5], [2.5, 3.5, 10.5]]),
        ("clip_mean", [[-7.5, -6.5, -2.5], [2.5, 3.5, 10.5]]),
    ],
)
def test_the_background_is_each_frames_or_clips_own(how, expected):
    clip = np.array([[0, 1, 5], [10, 11, 18]], np.uint8).reshape(1, 2, 1, 3, 1)
    removed = remove_background(clip, how)
    assert removed.dtype == np.float32
    assert removed[0, :, 0, :, 0].tolist() == expected


@pytest.mark.parametrize("scale", ["unit", "standard"])
def test_network_input_becomes_the_pixels_again(scale):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 1, 4, 4, 3), dtype=np.uint8)
    made = normalisation(Normalise(scale=scale), pixels.dtype, Statistics.of(pixels))
    assert (made.restore(made.apply(pixels), pixels.dtype) == pixels).all()
    beyond = np.array([[-9.0] * 3, [9000.0] * 3], np.float32)
    assert made.restore(beyond, pixels.dtype).tolist() == [[0] * 3, [255] * 3]
    floats = pixels.astype(np.float32) / 7
    assert np.allclose(made.restore(made.apply(floats), floats.dtype), floats, atol=1e-4)
