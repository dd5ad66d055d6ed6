"""What is random in a GAN: drawn by core, from a seed and a count."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.contract import Batches, GanSpec, SampleShape
from recurra.experiment import Gan, Model, Train
from recurra.gan_batches import gan_batches
from recurra.latents import STREAMS, augment_draws, frame_choices, latents, normals, uniforms

CLIP = SampleShape("clip", 6, 8, 8, 1)


def spec(frames=3, **train):
    model = Model(kind="gan", gan=Gan(content=5, noise=3))
    return GanSpec(model, Train.model_validate({"batch_size": 4, "gan": {"frames": frames, **train}}), CLIP, 3, None)


@given(st.integers(0, 2**32 - 1), st.sampled_from(STREAMS), st.integers(1, 9))
def test_a_row_is_the_same_whichever_rows_are_drawn_with_it(seed, stream, width):
    rows = np.array([0, 7, 123_456_789, 7])
    drawn = uniforms(seed, stream, rows, width)
    assert ((drawn >= 0) & (drawn < 1)).all()
    assert (drawn[1] == drawn[3]).all()
    assert (uniforms(seed, stream, rows[2:3], width)[0] == drawn[2]).all()


def test_streams_seeds_rows_and_columns_are_independent():
    draws = [normals(seed, stream, np.arange(4000), 2) for seed in (0, 1) for stream in STREAMS[:3]]
    columns = np.concatenate(draws, axis=1)
    between = np.corrcoef(columns.T) - np.eye(columns.shape[1])
    following = [np.corrcoef(column[:-1], column[1:])[0, 1] for column in columns.T]
    assert np.abs(between).max() < 0.08
    assert np.abs(following).max() < 0.08


def test_normals_have_the_moments_of_a_normal_distribution():
    drawn = normals(3, "noise", np.arange(50_000), 4).astype(np.float64)
    moments = [(drawn**power).mean() for power in (1, 2, 3, 4)]
    assert moments == pytest.approx([0, 1, 0, 3], abs=0.05)
    assert np.isfinite(drawn).all()


@pytest.mark.parametrize("purpose", ["training ", "measuring "])
def test_a_training_does_not_see_the_latents_of_samples(purpose):
    rows = np.arange(10)
    shown, learnt = latents(spec(), 0, rows), latents(spec(), 0, rows, purpose)
    assert shown.content.shape == (10, 5)
    assert shown.noise.shape == (10, 6, 3)
    assert not (shown.content == learnt.content).any()


def test_frames_are_different_ordered_and_no_more_than_there_are():
    chosen = frame_choices(spec(frames=3), 0, np.arange(200))
    assert chosen.shape == (200, 3)
    assert (np.diff(chosen, axis=1) > 0).all()
    assert np.bincount(chosen.reshape(-1), minlength=6).min() > 60
    assert (frame_choices(spec(frames=60), 0, np.arange(2)) == np.arange(6)).all()


def test_augmentation_draws_stay_below_one_in_float32():
    drawn = augment_draws(0, np.arange(100_000))
    assert drawn.shape == (3, 100_000, 5)
    assert drawn.dtype == np.float32
    assert drawn.max() < 1


def batches(first, steps):
    x = np.zeros((steps, 4, *CLIP.array), np.float32)
    return Batches(x, np.zeros((steps, 4), np.int64), np.full(steps, 0.01, np.float32), first)


def test_a_steps_draws_do_not_depend_on_the_steps_it_is_handed_over_with():
    whole, rest = gan_batches(batches(0, 5), spec(), 7), gan_batches(batches(3, 2), spec(), 7)
    for name in ("content", "noise", "frames", "augment", "penalty"):
        assert (getattr(whole, name)[3:] == getattr(rest, name)).all()


def test_penalties_come_every_few_steps_and_weigh_as_much_more():
    drawn = gan_batches(batches(6, 4), spec(penalty_every=4, r1=0.5), 0)
    assert drawn.penalty.tolist() == [0, 0, 4, 0]
    assert gan_batches(batches(6, 4), spec(r1=0, r2=0), 0).penalty.tolist() == [0, 0, 0, 0]


def test_discriminators_have_a_learning_rate_of_their_own():
    train = {"discriminator_learning_rate": 0.004}
    drawn = gan_batches(batches(0, 2), spec(**train), 0)
    assert drawn.generator_rates == pytest.approx([0.01, 0.01])
    assert drawn.discriminator_rates == pytest.approx([0.04, 0.04])
