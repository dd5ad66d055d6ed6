"""Keeps what is compiled below what Linux lets a process map.

XLA maps the code of each kernel by itself: some hundreds of mappings for a network, more for a GAN, and what is
compiled stays. A process has 65,530 of them by default (`vm.max_map_count`), and the compilation that would need one
more ends it with SIGSEGV. One that builds network after network, as a conformance kit or a notebook does, comes there.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from recurra_jax.framework import forget_compiled

MAPS = Path("/proc/self/maps")
MOST = Path("/proc/sys/vm/max_map_count")
SHARE = 0.5
"""Of the mappings; the rest is for the networks that are built until this is looked at again."""


def make_room() -> None:
    """Forgets what is compiled where half of the mappings are in use; networks in use are compiled again."""
    # Elsewhere than on Linux there is no such file, and no such limit.
    with suppress(OSError):
        if MAPS.read_bytes().count(b"\n") > SHARE * int(MOST.read_bytes()):
            forget_compiled()
