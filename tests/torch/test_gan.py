"""The GAN's parts as this backend computes them, against plain NumPy, hand-worked numbers and PyTorch's own layers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.conformance.gan_reference import augmented
from recurra.conformance.small_gans import gan_spec_of, one_of, random_gan_batches, random_gan_weights, still
from recurra.contract import GanSpec, SampleShape
from recurra.experiment import Adversarial
from recurra.gan_weights import is_generators, is_trained

pytestmark = pytest.mark.torch


def built(spec: GanSpec):
    """A GAN with random weights."""
    from recurra.registry import load_backend

    gan = load_backend("torch").build_gan(spec, "cpu")
    gan.load_weights(random_gan_weights(spec))
    return gan


def seeing(size: tuple[int, int], **how: float) -> GanSpec:
    """A spec of clips of such frames whose discriminators see them changed so."""
    spec = gan_spec_of("clip")
    sample = SampleShape("clip", 2, *size, 2)
    return replace(spec, sample=sample, train=spec.train.model_copy(update={"gan": Adversarial(**how)}))


@settings(deadline=None, max_examples=30)  # the first example imports PyTorch
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    translation=st.floats(0, 0.5),
    cutout=st.floats(0, 0.99),
    brightness=st.floats(0, 2),
    seed=st.integers(0, 1000),
)
def test_augmented_samples_are_those_of_the_plain_version(size, translation, cutout, brightness, seed) -> None:
    import torch

    from recurra_torch.augment import Augmentation

    spec, draw = (
        seeing(size, translation=translation, cutout=cutout, brightness=brightness),
        np.random.default_rng(seed),
    )
    x = draw.standard_normal((6, *spec.sample.array)).astype(np.float32)
    draws = draw.random((6, 5), np.float32)
    draws[0], draws[1] = 0, np.nextafter(np.float32(1), np.float32(0))  # the ends of every range
    augmentation = Augmentation(spec)
    found = augmentation(torch.from_numpy(x), augmentation.changes(torch.from_numpy(draws)))
    np.testing.assert_allclose(found.numpy(), augmented(x, draws, spec.train.gan), rtol=0, atol=1e-5)


def test_a_draw_is_worked_out_in_float64() -> None:
    import torch

    from recurra_torch.augment import Augmentation

    # Times 29 it is 28 in float32, and just below that in float64.
    spec, draws = seeing((28, 28), translation=0.5), np.full((1, 5), 0.9655172228813171, np.float32)
    augmentation = Augmentation(spec)
    x = np.ones((1, *spec.sample.array), np.float32)
    found = augmentation(torch.from_numpy(x), augmentation.changes(torch.from_numpy(draws)))
    assert found.sum() == 2 * 2 * (28 - 13) ** 2
    assert np.array_equal(found.numpy(), augmented(x, draws, spec.train.gan))


def test_without_augmentation_samples_pass_untouched() -> None:
    import torch

    from recurra_torch.augment import Augmentation

    x, augmentation = torch.rand(3, 2, 5, 4, 2), Augmentation(seeing((5, 4)))
    assert augmentation(x, augmentation.changes(torch.rand(3, 5))) is x


def test_a_translations_gradient_is_its_slope_as_often_as_it_is_differentiated() -> None:
    import torch

    from recurra_torch.augment import translated

    offsets = torch.tensor([[0, 0], [2, -1], [-3, 3], [5, 0]])
    x = torch.rand(4, 2, 4, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: translated(x, offsets).square(), x)
    assert torch.autograd.gradgradcheck(lambda x: translated(x, offsets) ** 3, x)


@pytest.mark.parametrize("size", [(8, 8), (9, 7), (2, 3)])
@pytest.mark.parametrize("way", ["halved", "doubled"])
def test_grey_frames_are_halved_and_doubled_as_by_the_layers(size, way) -> None:
    import torch

    from recurra_torch import grey

    kind, inputs, outputs = (torch.nn.Conv2d, 1, 3) if way == "halved" else (torch.nn.ConvTranspose2d, 3, 1)
    layer = kind(inputs, outputs, 4, 2, 1, dtype=torch.float64)
    x = torch.rand(2, inputs, *size, dtype=torch.float64, requires_grad=True)
    found = slopes(getattr(grey, way)(x, layer), x, layer)
    for one, other in zip(found, slopes(layer(x), x, layer), strict=True):
        torch.testing.assert_close(one, other)


def slopes(result, x, layer):
    """The result, gradients, and the gradient of the squared gradient by the weights."""
    import torch

    first = torch.autograd.grad(result.pow(3).sum(), [x, layer.weight, layer.bias], create_graph=True)
    return [result, *first, *torch.autograd.grad(first[0].square().sum(), layer.weight)]


def test_losses_are_the_numbers_worked_out_by_hand() -> None:
    import torch

    from recurra_torch.losses import LOSSES, right

    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.0, -3.0])
    soft = lambda value: math.log1p(math.exp(value))  # noqa: E731
    expected = {
        "non-saturating": ((soft(-2) + soft(1) + soft(0) + soft(-3)) / 2, (soft(0) + soft(3)) / 2, [0.5, 0.5]),
        "hinge": ((0 + 2 + 1 + 0) / 2, 1.5, [0.5, 0.5]),
        "relativistic": (soft(-2), soft(2), [1.0, 1.0]),
    }
    for name, (of_discriminator, of_generator, sides) in expected.items():
        loss = LOSSES[name]
        assert loss.of_discriminator(real, fake).item() == pytest.approx(of_discriminator)
        assert loss.of_generator(real, fake).item() == pytest.approx(of_generator)
        assert right(loss, real, fake).tolist() == sides


def test_the_squared_gradient_is_that_of_each_logit_and_has_a_slope_itself() -> None:
    import torch

    from recurra_torch.losses import squared_gradient

    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    seen = torch.rand(5, 2, requires_grad=True)
    found = squared_gradient(seen @ weight, seen)
    assert found.item() == pytest.approx(25.0)
    assert torch.autograd.grad(found, weight)[0].tolist() == pytest.approx([6.0, 8.0])


def test_power_steps_bring_the_largest_singular_value_to_one() -> None:
    import torch

    from recurra_torch.spectral import norm_of, normalise
    from recurra_torch.weights import convolution_kernel

    layer = torch.nn.Conv2d(2, 5, 4)
    normalise(layer, convolution_kernel)
    norm, weight = norm_of(layer)
    for _ in range(300):
        norm.power_step(weight)
    matrix = convolution_kernel(layer.weight).detach().numpy().reshape(-1, 5)
    assert np.linalg.svd(matrix, compute_uv=False)[0] == pytest.approx(1, abs=1e-4)


def test_spectral_vectors_are_constants_of_the_gradient() -> None:
    import torch

    from recurra_torch.spectral import SpectralNorm
    from recurra_torch.weights import whole

    weight = torch.rand(4, 3, dtype=torch.float64, requires_grad=True)
    norm = SpectralNorm(weight, whole)
    norm.power_step(weight)
    assert torch.autograd.gradcheck(norm, weight)


def test_samples_are_generated_once_a_step_and_penalties_differentiated_where_they_count(monkeypatch) -> None:
    import torch

    spec = gan_spec_of("clip", gan={"penalty_every": 2, "r2": 0.0})
    gan, made, asked, seen = built(spec), [], [], []
    grad = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: asked.append(1) or grad(*a, **k))
    gan.generator.register_forward_hook(lambda *_: made.append(1))
    gan.discriminators.clip.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].requires_grad))
    gan.train_steps(random_gan_batches(spec, 4))
    assert len(made) == 4
    assert len(asked) == 2 * 2  # frames and clips, the real ones alone, in two of four steps
    # With a penalty: real, generated (constants, as r2 is 0), and in the generator's update; else both at once.
    assert seen == [True, False, True, False, True] * 2


@pytest.mark.parametrize("network", ["clip", "clip-spectral"])
def test_no_update_leaves_a_gradient_behind(network) -> None:
    spec = gan_spec_of(network)
    gan = built(spec)
    gan.train_steps(random_gan_batches(spec, 2))
    both = [*gan.generator.parameters(), *gan.discriminators.parameters(), *gan.average.parameters()]
    assert [each.grad for each in both] == [None] * len(both)


@pytest.mark.parametrize("network", ["image-colour", "clip-odd", "clip-spectral"])
@pytest.mark.parametrize("side", ["generator", "discriminator"])
def test_a_side_that_stands_still_keeps_its_bytes_and_the_other_moves(network, side) -> None:
    spec = gan_spec_of(network)
    gan = built(spec)
    before = gan.weights()
    gan.train_steps(still(random_gan_batches(spec, 2), side))
    found = gan.weights()
    moved = {name for name in before if is_trained(name) and found[name].tobytes() != before[name].tobytes()}
    assert moved
    assert {is_generators(name) for name in moved} == {side == "discriminator"}


def test_the_hidden_state_of_every_step_ends_in_the_last_one() -> None:
    import torch

    from recurra.experiment import Rnn
    from recurra_torch.rnn import RecurrentLayers

    for cell in ("lstm", "gru"):
        layers = RecurrentLayers(Rnn(cell=cell, units=3, layers=2, bidirectional=True), 4)
        steps = torch.rand(5, 2, 4)
        every, last = layers.hidden(steps), layers.last_hidden(steps)
        assert every.shape == (5, 2, 6)
        torch.testing.assert_close(torch.cat([every[-1, :, :3], every[0, :, 3:]], 1), last)


def test_judging_between_steps_leaves_no_trace_in_spectral_normalisation() -> None:
    spec = gan_spec_of("clip-spectral")
    watched, alone, batches = built(spec), built(spec), random_gan_batches(spec, 3)
    for step in range(3):
        watched.judge(batches.x[step], batches.y[step])
        watched.train_steps(one_of(batches, step))
    alone.train_steps(batches)
    found = watched.weights()
    assert [name for name, array in alone.weights().items() if array.tobytes() != found[name].tobytes()] == []
