"""What is this backend's own way of computing a network, against the same in float64 or done plainly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recurra.conformance import reference
from recurra.conformance.networks import IMAGE, NETWORKS, random_batches, spec_of
from recurra.contract import ClassifierSpec, SampleShape
from recurra.experiment import Cnn, Model, Rnn, Train
from recurra.weights import layout

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of six go through the one-hot columns in two parts, as large batches do."""
    from recurra_torch import rnn

    monkeypatch.setattr(rnn, "_CONSTANTS_AT_ONCE", {"cpu": 4})


@pytest.mark.parametrize("network", NETWORKS)
def test_networks_with_random_biases_are_those_of_the_reference(build, network) -> None:
    spec = spec_of(network)
    classifier = build(spec)
    x = random_batches(spec, 1).x[0]
    np.testing.assert_allclose(
        classifier.logits(x), reference.logits(x, classifier.weights(), spec), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("network", NETWORKS)
def test_every_gradient_points_along_the_references_slope(build, network) -> None:
    spec = spec_of(network)
    classifier = build(spec)
    weights, batches, draw = classifier.weights(), random_batches(spec, 1), np.random.default_rng(2)
    classifier.train_steps(batches)
    state = classifier.training_state()
    for name, shape in layout(spec).items():
        index = tuple(int(draw.integers(size)) for size in shape)
        expected = reference.slope(batches.x[0], batches.y[0], weights, spec, name, index)
        assert state[f"adam.m.{name}"][index] / 0.1 == pytest.approx(expected, rel=2e-3, abs=2e-5), name


def test_parts_of_a_fused_batch_give_what_the_whole_batch_gives(build, monkeypatch) -> None:
    from recurra_torch import rnn

    spec = spec_of("fusion-lstm-image")
    batches, states = random_batches(spec, 1), []
    for at_once in (1, 6):
        monkeypatch.setattr(rnn, "_CONSTANTS_AT_ONCE", {"cpu": at_once})
        classifier = build(spec)
        classifier.train_steps(batches)
        states.append(classifier.training_state())
    for name, array in states[0].items():
        np.testing.assert_allclose(array, states[1][name], rtol=1e-4, atol=1e-7, err_msg=name)


def test_deep_fused_images_in_both_directions_are_those_of_the_reference(build) -> None:
    rnn = Rnn(units=4, layers=2, bidirectional=True)
    spec = ClassifierSpec(Model(kind="fusion", cnn=Cnn(channels=(3,)), rnn=rnn), Train(), IMAGE, 4)
    classifier = build(spec)
    x = random_batches(spec, 1).x[0]
    np.testing.assert_allclose(
        classifier.logits(x), reference.logits(x, classifier.weights(), spec), rtol=1e-4, atol=1e-5
    )


def test_weights_in_one_piece_are_the_same_weights_kernels_before_biases() -> None:
    import torch

    from recurra_torch.rnn import in_one_piece

    weights = list(torch.nn.LSTM(3, 2, 2, bidirectional=True).parameters())
    found = in_one_piece(weights)
    assert all(torch.equal(one, other) for one, other in zip(found, weights, strict=True))
    kernels_first = [w for w in found if w.dim() == 2] + [w for w in found if w.dim() == 1]
    ends = [w.storage_offset() + w.numel() for w in kernels_first]
    assert [w.storage_offset() for w in kernels_first] == [0, *ends[:-1]]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_second_bias_of_each_gate_stays_zero(build, cell) -> None:
    spec = replace(spec_of("cnn-image", weight_decay=0.1), model=Model(kind="rnn", rnn=Rnn(cell=cell, units=3)))
    classifier = build(spec)
    classifier.train_steps(random_batches(spec, 3))
    second = classifier.network.features.layers.bias_hh_l0.detach().numpy()
    gates = second.reshape(-1, 3)
    assert not gates[: 4 if cell == "lstm" else 2].any()
    assert cell == "lstm" or gates[2].all()


def test_the_layers_without_flattening_see_images_without_a_copy(build) -> None:
    spec = ClassifierSpec(Model(kind="cnn", cnn=Cnn(channels=(8,))), Train(), IMAGE, 4)
    classifier, seen = build(spec), []
    convolution = classifier.network.features.convolutions[0]
    convolution.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].data_ptr()))
    x = random_batches(spec, 1).x[0]
    classifier.logits(x)
    assert seen == [x.ctypes.data]


def test_one_wide_frame_and_one_sample_pass_through_every_kind(build) -> None:
    sample = SampleShape("clip", 1, 1, 5, 3)
    for kind in ("cnn", "rnn", "fusion"):
        model = Model(kind=kind, cnn=Cnn(channels=(2,), pool=1, kernel=1), rnn=Rnn(units=1))
        spec = ClassifierSpec(model, Train(), sample, 2)
        classifier = build(spec)
        x = random_batches(spec, 1, 1).x[0]
        np.testing.assert_allclose(
            classifier.logits(x), reference.logits(x, classifier.weights(), spec), rtol=1e-4, atol=1e-5
        )
