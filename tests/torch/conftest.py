"""Small classifiers of the PyTorch backend, their first weights random in every entry."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest

from recurra.contract import Classifier, ClassifierSpec
from recurra.weights import layout

# One thread, in child processes too: these networks are so small that several spend their time waiting for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

Build = Callable[..., Classifier]


def random_weights(spec: ClassifierSpec, seed: int = 0) -> dict[str, np.ndarray]:
    """Biases too, which recurra's own first weights leave at zero."""
    draw = np.random.default_rng(seed)
    return {name: draw.normal(0, 0.4, shape).astype(np.float32) for name, shape in layout(spec).items()}


@pytest.fixture
def build() -> Build:
    """build(spec, seed=0): a classifier on the CPU with random weights."""

    def make(spec: ClassifierSpec, seed: int = 0) -> Classifier:
        from recurra.registry import load_backend

        classifier = load_backend("torch").build(spec, "cpu", seed)
        classifier.load_weights(random_weights(spec))
        return classifier

    return make
