"""The JAX backend against the conformance kit, as any other distribution's."""

from __future__ import annotations

from recurra.conformance import Kit


class TestJax(Kit):
    name = "jax"
