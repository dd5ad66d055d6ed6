"""The small networks that a backend is held to, with weights, batches and what is compared of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from recurra.conformance.checks import Suite
from recurra.contract import Batches, Classifier, ClassifierSpec, RecurrentGan, SampleShape, Weights
from recurra.experiment import Cnn, Model, Rnn, Train
from recurra.registry import load_backend
from recurra.weights import initial_weights, is_kernel

IMAGE = SampleShape("image", 1, 9, 8, 2)
CLIP = SampleShape("clip", 5, 8, 7, 1)
SMALL_CNN = Cnn(channels=(3, 4))
NETWORKS: dict[str, tuple[Model, SampleShape]] = {
    "cnn-image": (Model(kind="cnn", cnn=SMALL_CNN), IMAGE),
    "cnn-clip": (Model(kind="cnn", cnn=Cnn(channels=(3,), kernel=2, padding="valid", dense=(6, 5))), CLIP),
    "cnn-unpooled": (Model(kind="cnn", cnn=Cnn(channels=(3,), kernel=5, pool=1)), IMAGE),
    "rnn-lstm-image": (Model(kind="rnn", rnn=Rnn(units=6)), IMAGE),
    "rnn-gru-clip": (Model(kind="rnn", rnn=Rnn(cell="gru", units=6, frame_pool=2)), CLIP),
    "rnn-lstm-deep": (Model(kind="rnn", rnn=Rnn(units=5, layers=2, bidirectional=True)), CLIP),
    "rnn-gru-deep": (Model(kind="rnn", rnn=Rnn(cell="gru", units=5, layers=2, bidirectional=True)), IMAGE),
    "fusion-lstm-image": (Model(kind="fusion", cnn=SMALL_CNN, rnn=Rnn(units=6)), IMAGE),
    "fusion-lstm-clip": (Model(kind="fusion", cnn=SMALL_CNN, rnn=Rnn(units=6, frame_pool=2)), CLIP),
    "fusion-gru-image": (Model(kind="fusion", cnn=SMALL_CNN, rnn=Rnn(cell="gru", units=6, bidirectional=True)), IMAGE),
    "fusion-gru-clip": (Model(kind="fusion", cnn=SMALL_CNN, rnn=Rnn(cell="gru", units=6, layers=2)), CLIP),
}
CLASSES = 4


def spec_of(network: str, **train: Any) -> ClassifierSpec:
    """The spec of one of NETWORKS."""
    model, sample = NETWORKS[network]
    return ClassifierSpec(model, Train.model_validate(train), sample, CLASSES)


def random_batches(spec: ClassifierSpec, steps: int, batch: int = 6, first_step: int = 0, seed: int = 1) -> Batches:
    """Noise with labels, at a learning rate of 0.01."""
    draw = np.random.default_rng([seed, first_step])
    x = draw.standard_normal((steps, batch, *spec.sample.array)).astype(np.float32)
    y = draw.integers(0, spec.classes, (steps, batch))
    return Batches(x, y, np.full(steps, 0.01, np.float32), first_step)


def random_weights(spec: ClassifierSpec) -> Weights:
    """As core draws them, with biases that are not zero."""
    draw = np.random.default_rng(8)
    return {
        name: array if is_kernel(name) else draw.normal(0, 0.3, array.shape).astype(np.float32)
        for name, array in initial_weights(spec, 0).items()
    }


def one_step(batches: Batches, s: int) -> Batches:
    """Step s alone."""
    rates = batches.learning_rates[s : s + 1]
    return Batches(batches.x[s : s + 1], batches.y[s : s + 1], rates, batches.first_step + s)


def snapshot(network: Classifier | RecurrentGan) -> dict[str, np.ndarray]:
    """Weights and training state, to compare."""
    state = {f"state.{name}": array for name, array in network.training_state().items()}
    return {**network.weights(), **state}


def assert_same_bytes(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> None:
    """Names, dtypes, shapes and bytes agree."""
    assert one.keys() == other.keys()
    differing = [name for name in one if one[name].tobytes() != other[name].tobytes()]
    assert not differing, f"{len(differing)} of {len(one)} differ: {', '.join(differing[:4])}"


class Networks(Suite):
    """Builds networks on the backend that `name` says."""

    @pytest.fixture(params=NETWORKS)
    def network(self, request: pytest.FixtureRequest) -> str:
        """Each network that the backend says it can build."""
        self.needs(NETWORKS[request.param][0].kind)
        return request.param

    def any_network(self, preferred: str = "fusion-lstm-image") -> str:
        """The preferred network where the backend claims its kind, else the first that it claims; else a skip."""
        kind = self.any_kind(NETWORKS[preferred][0].kind, "cnn", "rnn", "fusion")
        return next(name for name in (preferred, *NETWORKS) if NETWORKS[name][0].kind == kind)

    def build(self, spec: ClassifierSpec, seed: int = 0, device: str = "cpu") -> Classifier:
        """A classifier on a device, with the spec's first weights."""
        classifier = load_backend(self.name).build(spec, device, seed)
        classifier.load_weights(initial_weights(spec, seed))
        return classifier
