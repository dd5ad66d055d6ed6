"""Full memory, told in recurra's words."""

from __future__ import annotations

import jax.numpy as jnp
import pytest
from recurra.errors import DeviceMemoryError

from recurra_jax.devices import resolve
from recurra_jax.framework import jax
from recurra_jax.memory import peak, within_memory

CPU = resolve("cpu")


def test_an_array_that_does_not_fit_is_a_device_memory_error_of_one_line() -> None:
    with pytest.raises(DeviceMemoryError, match=r"^device cpu: out of memory.*$"):
        within_memory(CPU, lambda: jnp.zeros(1 << 46, device=CPU).block_until_ready())


def test_what_xla_says_of_full_memory_becomes_one_line_with_what_was_asked_for() -> None:
    def full() -> None:
        told = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4096 bytes.\nBufferAssignment OOM Debugging."
        raise jax.errors.JaxRuntimeError(told)

    with pytest.raises(DeviceMemoryError, match=r"^device cpu: out of memory \(4096 bytes more were asked for\)$"):
        within_memory(CPU, full)


def test_another_error_of_xla_stays_what_it_is() -> None:
    def wrong() -> None:
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        within_memory(CPU, wrong)


def test_nobody_counts_the_cpus_memory() -> None:
    assert peak(CPU) is None
