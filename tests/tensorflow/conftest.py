"""Small classifiers and batches for the tests of the TensorFlow backend."""

from collections.abc import Callable

import numpy as np
import pytest

from recurra.contract import Batches, Classifier, ClassifierSpec, SampleShape
from recurra.experiment import Cnn, Model, Rnn, Train
from recurra.weights import layout

IMAGE = SampleShape("image", 1, 9, 8, 2)
CLIP = SampleShape("clip", 5, 9, 8, 2)


@pytest.fixture(scope="session", autouse=True)
def cpus() -> None:
    """Three logical CPU devices, which TensorFlow makes before it first computes or not at all."""
    from recurra_tensorflow.devices import replica_devices

    replica_devices(["cpu"] * 3)


@pytest.fixture
def spec() -> Callable[..., ClassifierSpec]:
    """spec(kind, sample, cnn={...}, rnn={...}, **train): narrow networks over small samples of four classes."""

    def make(kind: str, sample: str = "image", *, cnn: dict = {}, rnn: dict = {}, **train) -> ClassifierSpec:  # noqa: B006
        model = Model(
            kind=kind, cnn=Cnn(**({"channels": (3, 4)} | cnn)), rnn=Rnn(**({"units": 6, "frame_pool": 2} | rnn))
        )
        return ClassifierSpec(model, Train(**train), IMAGE if sample == "image" else CLIP, 4)

    return make


@pytest.fixture
def build() -> Callable[..., Classifier]:
    """build(spec, seed=0): a classifier on the CPU whose weights, biases too, are random."""

    def make(spec: ClassifierSpec, seed: int = 0) -> Classifier:
        from recurra_tensorflow.plugin import recurra_backend

        classifier = recurra_backend().build(spec, "cpu", seed)
        generator = np.random.default_rng(7)
        classifier.load_weights(
            {name: generator.normal(0, 0.4, shape).astype(np.float32) for name, shape in layout(spec).items()}
        )
        return classifier

    return make


@pytest.fixture
def batches() -> Callable[..., Batches]:
    """batches(spec, steps, first=0, size=8): the same samples for the same step, whatever the first one is."""

    def make(spec: ClassifierSpec, steps: int, first: int = 0, size: int = 8) -> Batches:
        generators = [np.random.default_rng([3, step]) for step in range(first, first + steps)]
        x = np.stack([g.normal(size=(size, *spec.sample.array)) for g in generators]).astype(np.float32)
        y = np.stack([g.integers(0, spec.classes, size) for g in generators])
        rates = np.array([1e-3 * (1 + step % 3) for step in range(first, first + steps)], np.float32)
        return Batches(x, y, rates, first)

    return make
