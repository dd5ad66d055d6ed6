"""A user's settings of JAX, which are for the user's own functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from recurra.conformance.networks import assert_same_bytes, random_batches, snapshot, spec_of
from recurra.conformance.small_gans import gan_spec_of, random_gan_batches, random_gan_weights, random_latents
from recurra.contract import GanBackend
from recurra.registry import load_backend
from recurra.weights import initial_weights

from recurra_jax.framework import jax


def of_a_classifier() -> dict[str, np.ndarray]:
    """All that comes of two steps with dropout."""
    spec = spec_of("fusion-lstm-image", dropout=0.3)
    network = load_backend("jax").build(spec, "cpu", 0)
    network.load_weights(initial_weights(spec, 0))
    batches = random_batches(spec, 2)
    records, x = network.train_steps(batches), batches.x[0]
    return {**snapshot(network), **vars(records), "logits": network.logits(x), "features": network.features(x)}


def of_a_gan() -> dict[str, np.ndarray]:
    """All that comes of two steps, one of them with penalties."""
    spec, backend = gan_spec_of("clip-spectral"), load_backend("jax")
    assert isinstance(backend, GanBackend)
    network = backend.build_gan(spec, "cpu")
    network.load_weights(random_gan_weights(spec))
    records, (latents, labels) = network.train_steps(random_gan_batches(spec, 2)), random_latents(spec, 3)
    samples = network.generate(latents, labels)
    frames, clips = network.judge(samples, labels)
    assert clips is not None
    return {**snapshot(network), **vars(records), "samples": samples, "frames": frames, "clips": clips}


@pytest.mark.parametrize("trained", [of_a_classifier, of_a_gan])
def test_64_bits_another_stream_of_random_numbers_and_quicker_products_change_no_byte(trained: Any) -> None:
    expected = trained()
    with jax.enable_x64(True), jax.threefry_partitionable(False), jax.default_matmul_precision("bfloat16"):
        found = trained()
    assert {name: array.dtype for name, array in found.items()} == {n: a.dtype for n, a in expected.items()}
    assert_same_bytes(found, expected)
