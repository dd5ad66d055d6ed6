"""The oracle for GANs, held to literal loops, to numbers worked out by hand, and to what must be true of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.conformance import gan_reference
from recurra.conformance.discriminators import (
    Verdict,
    clip_discriminator,
    down,
    down_time,
    frame_discriminator,
    normed,
    scaled,
    up_time,
    vectors,
)
from recurra.conformance.gan_reference import Step, augmented
from recurra.conformance.generator import averaged, bounded, exact, generate, layer_norm, up
from recurra.conformance.small_gans import GANS, gan_spec_of, random_gan_batches, random_gan_weights, random_latents
from recurra.experiment import Adversarial

SIZES = st.integers(2, 7)
REAL, FAKE = np.array([0.0, 2.0]), np.array([-1.0, 1.0])


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


@given(h=SIZES, w=SIZES)
@settings(max_examples=10, deadline=None)
def test_the_transposed_convolution_is_the_loop_that_is_written_down(h: int, w: int) -> None:
    a, kernel, expected = normal(2, h, w, 3), normal(4, 4, 3, 2), np.zeros((2, 2 * h, 2 * w, 2))
    for i, j, p, q in np.ndindex(h, w, 4, 4):
        row, column = 2 * i + p - 1, 2 * j + q - 1
        if 0 <= row < 2 * h and 0 <= column < 2 * w:
            expected[:, row, column] += a[:, i, j] @ kernel[p, q]
    np.testing.assert_allclose(up(a, kernel), expected, atol=1e-12)


@given(height=SIZES, width=SIZES)
@settings(max_examples=20, deadline=None)
def test_it_is_the_adjoint_of_the_strided_convolution(height: int, width: int) -> None:
    x, kernel, a = normal(2, height, width, 3), normal(4, 4, 3, 2), normal(2, height // 2, width // 2, 2)
    back = up(a, kernel.swapaxes(2, 3), (height, width))
    assert (down(x, kernel, np.zeros(2)) * a).sum() == pytest.approx((x * back).sum())


@pytest.mark.parametrize("steps", [2, 3, 4, 7])
def test_the_same_holds_over_time(steps: int) -> None:
    x, kernel, a = normal(2, steps, 3), normal(4, 3, 2), normal(2, steps // 2, 2)
    forward = down_time(x, kernel, np.zeros(2))
    assert (forward * a).sum() == pytest.approx((x * up_time(a, kernel, steps)).sum())


def test_the_strided_convolution_halves_as_worked_out_by_hand() -> None:
    x, kernel = np.arange(16.0).reshape(1, 4, 4, 1), np.ones((4, 4, 1, 1))
    # The upper left window holds rows and columns 0 to 2 (and zeros): 0 + 1 + 2 + 4 + 5 + 6 + 8 + 9 + 10.
    assert down(x, kernel, np.array([0.5]))[0, :, :, 0].tolist() == [[45.5, 54.5], [81.5, 90.5]]


@pytest.mark.parametrize("network", GANS)
def test_the_gradients_written_by_hand_are_the_slopes_of_the_logits(network: str) -> None:
    spec, draw = gan_spec_of(network), np.random.default_rng(0)
    weights, batches = exact(random_gan_weights(spec)), random_gan_batches(spec, 1)
    x, labels = batches.x[0].astype(np.float64), batches.y[0]
    judged = [(frame_discriminator, x[:, 0])] + ([(clip_discriminator, x)] if spec.sample.frames > 1 else [])
    for discriminator, seen in judged:
        found = discriminator(seen, labels, weights, spec).gradient
        direction = draw.standard_normal(seen.shape)
        ends = [discriminator(seen + sign * 1e-7 * direction, labels, weights, spec).logits for sign in (1, -1)]
        slopes = (found * direction).reshape(len(x), -1).sum(axis=1)
        np.testing.assert_allclose(slopes, (ends[0] - ends[1]) / 2e-7, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("loss", "of_discriminator", "of_generator"),
    # softplus of -2, -1, 0, 1: 0.126928, 0.313262, 0.693147, 1.313262
    [
        ("non-saturating", 0.4100375 + 0.813262, 0.813262),
        ("hinge", 0.5 + 1.0, 0.0),
        ("relativistic", 0.313262, 1.313262),
    ],
)
def test_losses_are_those_worked_out_by_hand(loss: str, of_discriminator: float, of_generator: float) -> None:
    assert gan_reference.discriminator_loss(REAL, FAKE, loss) == pytest.approx(of_discriminator, abs=1e-6)
    assert gan_reference.generator_loss(REAL, FAKE, loss) == pytest.approx(of_generator, abs=1e-6)


@pytest.mark.parametrize(("loss", "expected"), [("hinge", (0.5, 0.5)), ("relativistic", (1.0, 1.0))])
def test_who_is_right_is_told_by_the_sign_or_of_pairs_by_the_order(loss: str, expected: tuple[float, float]) -> None:
    assert gan_reference.rights(REAL, FAKE, loss) == expected


def test_penalties_are_those_worked_out_by_hand() -> None:
    real, fake = (Verdict(np.zeros(2), np.full((2, 2, 2, 1), value)) for value in (1.0, 3.0))
    # |gradient|^2 of four equal entries: 4 and 36.
    assert gan_reference.penalty(real, fake, Adversarial(r1=0.5, r2=0.1)) == pytest.approx(0.25 * 4 + 0.05 * 36)


def drawn(u: list[float], **augment: Any) -> list[list[float]]:
    """The pixels 1 to 9, augmented."""
    x = np.arange(1.0, 10.0).reshape(1, 1, 3, 3, 1)
    return augmented(x, np.array([u]), Adversarial(**augment))[0, 0, :, :, 0].tolist()


def test_augmentation_does_what_was_worked_out_by_hand() -> None:
    assert drawn([0.75, 0, 0, 0, 0], brightness=2) == [[2, 3, 4], [5, 6, 7], [8, 9, 10]]
    # m = 1: a draw above 2/3 is one row down, one below 1/3 one column to the left.
    assert drawn([0, 0.7, 0.5, 0, 0], translation=0.4) == [[0, 0, 0], [1, 2, 3], [4, 5, 6]]
    assert drawn([0, 0.5, 0.3, 0, 0], translation=0.4) == [[2, 3, 0], [5, 6, 0], [8, 9, 0]]
    # A square of side 2 around row 0 and column 3 reaches from row -1 and column 2 on.
    assert drawn([0, 0, 0, 0.2, 0.9], cutout=0.6) == [[1, 2, 0], [4, 5, 6], [7, 8, 9]]
    assert drawn([0.9, 0.1, 0.9, 0.4, 0.2]) == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


@pytest.mark.parametrize("network", ["image-colour", "clip-augmented"])
def test_bounded_pixels_are_seen_between_minus_one_and_one(network: str) -> None:
    spec = gan_spec_of(network)
    x = normal(5, spec.sample.channels)
    np.testing.assert_allclose(scaled(bounded(x, spec), spec), np.tanh(x), atol=1e-12)


@pytest.mark.parametrize("network", GANS)
def test_samples_have_their_shape_and_keep_within_their_bounds(network: str) -> None:
    spec = gan_spec_of(network)
    latents, labels = random_latents(spec, 4)
    x = generate(latents.content, latents.noise, labels, averaged(random_gan_weights(spec)), spec)
    assert x.shape == (4, *spec.sample.array)
    if spec.bounds is not None:
        low, high = np.array(spec.bounds).T
        assert ((x >= low) & (x <= high)).all()


def test_the_layer_norm_leaves_each_frame_with_mean_0_and_variance_1() -> None:
    scale, shift = np.zeros((3, 2)), np.array([[0.0, 0.0], [5.0, 5.0], [0.0, 0.0]])
    normal_maps = layer_norm(7 + 3 * normal(3, 4, 4, 2), scale, shift)
    np.testing.assert_allclose(normal_maps.mean(axis=(1, 2, 3)), [0, 5, 0], atol=1e-6)
    np.testing.assert_allclose(normal_maps.var(axis=(1, 2, 3)), 1, atol=1e-4)


def test_steps_of_the_power_method_lead_to_a_largest_singular_value_of_1() -> None:
    weights = {"clip.conv1.kernel": normal(4, 4, 2, 3), "clip.conv1.kernel.u": np.array([1.0, 0, 0])}
    for _ in range(200):
        weights["clip.conv1.kernel.u"] = vectors(weights, power_step=True)["clip.conv1.kernel"][0]
    divided = normed(weights, vectors(weights, power_step=False))["clip.conv1.kernel"]
    assert np.linalg.svd(divided.reshape(-1, 3), compute_uv=False)[0] == pytest.approx(1)


def test_the_average_follows_fast_at_first() -> None:
    assert [gan_reference.average_decay(0.9, t) for t in (1, 2, 1000)] == [2 / 11, 3 / 12, 0.9]
    assert gan_reference.average_decay(0.0, 5) == 0


def test_the_frame_discriminator_sees_the_frames_that_are_named() -> None:
    spec = gan_spec_of("clip-odd")
    step, weights = Step.of(random_gan_batches(spec, 1)), exact(random_gan_weights(spec))
    found = gan_reference.discriminated(step.x, step, step.augment[0], weights, spec)[0].logits
    every, _ = gan_reference.judge(step.x, step.labels, weights, spec)
    np.testing.assert_allclose(found.reshape(4, 3), np.take_along_axis(every, step.frames, axis=1))
