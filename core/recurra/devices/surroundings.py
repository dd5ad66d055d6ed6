"""The environment of a process that works with a lease."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from recurra.devices.gpu import Gpu
from recurra.devices.inventory import Inventory

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
"""What limits the threads of PyTorch, TensorFlow and the libraries below them."""


def surroundings(inventory: Inventory, folder: Path, gpus: Sequence[Gpu], cores: Sequence[int]) -> dict[str, str]:
    """CUDA_VISIBLE_DEVICES (empty without a GPU), the limits of threads, and RECURRA_LEASE, JSON of what is held.

    Threads are limited to the cores held; with GPUs to the same share of the cores as of the GPUs, and not at all where
    it has them all. A user's own setting that is smaller stays.
    """
    held = {"folder": str(folder), "gpus": [gpu.id for gpu in gpus], "cores": list(cores)}
    variables = {
        "CUDA_VISIBLE_DEVICES": ",".join(gpu.visible for gpu in gpus),
        "RECURRA_LEASE": json.dumps(held),
    }
    threads = len(cores)
    if gpus and not cores and len(gpus) < len(inventory.gpus):
        threads = max(1, inventory.cores * len(gpus) // len(inventory.gpus))
    return variables | thread_limits(threads)


def thread_limits(threads: int) -> dict[str, str]:
    """Name -> value of what limits a process to so many threads, or to fewer where this one's environment says so.

    Empty for 0.
    """
    return {name: str(min(threads, _own(name) or threads)) for name in THREADS} if threads else {}


def _own(name: str) -> int:
    # OMP_NUM_THREADS may be a list, for nested regions. 0 is the same as none.
    found = re.match(r"\s*(\d{1,9})", os.environ.get(name, ""))
    return int(found[1]) if found else 0


def enclosing(folder: Path) -> tuple[frozenset[str], frozenset[int]]:
    """The GPUs, by id, and cores, by number, of the lease in this folder that this process itself works with."""
    try:
        held = json.loads(os.environ.get("RECURRA_LEASE") or "{}")
        if held.get("folder") == str(folder):
            return frozenset(held["gpus"]), frozenset(held["cores"])
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return frozenset(), frozenset()
