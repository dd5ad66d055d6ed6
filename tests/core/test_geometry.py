"""Frame size, channels and clip length."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from recurra.geometry import frame_index, to_channels, to_length, to_size

SIDE = st.integers(1, 12)


def noise(*shape: int, dtype: str = "uint8") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


@given(SIDE, SIDE, SIDE, SIDE, st.sampled_from([1, 3]))
def test_a_block_is_resized_as_pillow_does_frame_by_frame(height, width, new_height, new_width, channels):
    clips = noise(2, 2, height, width, channels)
    resized = to_size(clips, (new_height, new_width), "stretch")
    for clip, result in zip(clips.reshape(-1, *clips.shape[2:]), resized.reshape(-1, *resized.shape[2:]), strict=True):
        image = Image.fromarray(clip if channels == 3 else clip[..., 0])
        expected = np.asarray(image.resize((new_width, new_height), Image.Resampling.BILINEAR))
        assert np.abs(result.astype(int) - expected.reshape(result.shape)).max() <= 1


def test_shrinking_averages_instead_of_skipping_pixels():
    stripes = np.zeros((1, 1, 8, 8, 1), np.float32)
    stripes[:, :, :, ::2] = 100
    assert to_size(stripes, (4, 4), "stretch")[0, 0, :, 1:3] == pytest.approx(50, abs=1)


def test_padding_keeps_the_aspect_ratio_and_surrounds_with_the_fill():
    clips = np.full((1, 1, 2, 4, 1), 9.0, np.float32)
    padded = to_size(clips, (4, 4), "pad", fill=-1)[0, 0, :, :, 0]
    assert padded.tolist() == [[-1] * 4, [9] * 4, [9] * 4, [-1] * 4]


def test_cropping_cuts_the_centre():
    clips = np.tile(np.array([1, 2, 3, 4], np.float32), (1, 1, 2, 1))[..., None]
    assert to_size(clips, (2, 2), "crop")[0, 0, :, :, 0].tolist() == [[2, 3], [2, 3]]


@given(st.integers(1, 60), st.integers(1, 60))
def test_resampling_takes_the_middle_frame_of_each_part(length, frames):
    exact = [int((i + 0.5) * length / frames + 1e-9) for i in range(frames)]
    assert frame_index(length, frames, "resample").tolist() == exact


def test_padding_in_time_cuts_or_repeats_the_last_frame():
    clip = np.arange(3).reshape(1, 3, 1, 1, 1)
    assert to_length(clip, 5, "pad").ravel().tolist() == [0, 1, 2, 2, 2]
    assert to_length(clip, 2, "pad").ravel().tolist() == [0, 1]


def test_colour_becomes_grey_as_in_pillow():
    colour = noise(1, 1, 16, 16, 3)
    assert (to_channels(colour, 1)[0, 0, :, :, 0] == np.asarray(Image.fromarray(colour[0, 0]).convert("L"))).all()
    assert to_channels(colour.astype(np.float32), 1) == pytest.approx(to_channels(colour, 1), abs=0.51)


def test_grey_becomes_colour_by_repetition():
    assert to_channels(np.array([[7]], np.uint8), 3).tolist() == [[7, 7, 7]]
