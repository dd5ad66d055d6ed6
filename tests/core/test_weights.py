"""Canonical weights: the layout that is written down, and first weights that depend on the seed alone."""

from __future__ import annotations

import numpy as np
import pytest

from recurra.contract import ClassifierSpec, SampleShape
from recurra.errors import InputError
from recurra.experiment import Cnn, Model, Rnn, Train
from recurra.weights import check_weights, initial_weights, layout

IMAGE = SampleShape("image", 1, 28, 28, 1)
CLIP = SampleShape("clip", 20, 16, 16, 1)


def spec(kind: str, sample: SampleShape = IMAGE, cnn: Cnn | None = None, rnn: Rnn | None = None) -> ClassifierSpec:
    model = Model.model_validate({"kind": kind, "cnn": cnn or Cnn(), "rnn": rnn or Rnn()})
    return ClassifierSpec(model, Train(), sample, 10)


def test_the_cnn_has_the_documented_layout() -> None:
    assert layout(spec("cnn")) == {
        "cnn.conv1.kernel": (3, 3, 1, 32),
        "cnn.conv1.bias": (32,),
        "cnn.conv2.kernel": (3, 3, 32, 64),
        "cnn.conv2.bias": (64,),
        "output.kernel": (7 * 7 * 64, 10),
        "output.bias": (10,),
    }


def test_the_fusion_joins_features_and_frame() -> None:
    shapes = layout(spec("fusion", CLIP))
    assert shapes["rnn.lstm1.kernel"] == (4 * 4 * 64 + 16 * 16, 512)
    assert shapes["output.kernel"] == (128, 10)


def test_a_bidirectional_gru_of_two_layers_has_both_directions_and_one_bias_more() -> None:
    shapes = layout(spec("rnn", CLIP, rnn=Rnn(cell="gru", units=5, layers=2, bidirectional=True, frame_pool=2)))
    assert shapes["rnn.gru1.kernel"] == (64, 15)
    assert shapes["rnn.gru2_reverse.kernel"] == (10, 15)
    assert shapes["rnn.gru2_reverse.recurrent_bias"] == (5,)
    assert shapes["output.kernel"] == (10, 10)


def test_first_weights_depend_on_the_seed_and_on_nothing_else() -> None:
    one, same, other = (initial_weights(spec("fusion"), seed) for seed in (3, 3, 4))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["cnn.conv1.kernel"], other["cnn.conv1.kernel"])


def test_first_weights_are_glorot_orthogonal_and_forgetful() -> None:
    weights = initial_weights(spec("fusion"), 0)
    recurrent = weights["rnn.lstm1.recurrent_kernel"].astype(np.float64)
    limit = np.sqrt(6 / (9 * (32 + 64)))
    assert np.allclose(recurrent @ recurrent.T, np.eye(128), atol=1e-5)
    assert 0.98 * limit < np.abs(weights["cnn.conv2.kernel"]).max() <= limit
    assert weights["rnn.lstm1.bias"].reshape(4, 128).mean(axis=1).tolist() == [0, 1, 0, 0]


def test_a_network_that_leaves_nothing_of_a_frame_is_refused() -> None:
    with pytest.raises(InputError, match="nothing is left of 28x28 frames after conv 5"):
        layout(spec("cnn", cnn=Cnn(channels=(8,) * 5)))


@pytest.mark.parametrize("change", ["missing", "further", "shape", "dtype"])
def test_weights_of_another_network_are_refused_by_name(change: str) -> None:
    weights = initial_weights(spec("rnn"), 0)
    if change == "missing":
        del weights["output.bias"]
    if change == "further":
        weights["cnn.conv1.bias"] = np.zeros(3, np.float32)
    if change == "shape":
        weights["output.bias"] = np.zeros(11, np.float32)
    if change == "dtype":
        weights["output.bias"] = np.zeros(10)
    with pytest.raises(InputError, match=r"file.safetensors: weight '(output.bias|cnn.conv1.bias)'"):
        check_weights(weights, spec("rnn"), "file.safetensors")
