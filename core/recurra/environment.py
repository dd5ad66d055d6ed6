"""What a run was made with: what a reader of its numbers may want to know, and what "identical" depends on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path


def processor() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def allowed_threads() -> int:
    """Threads that this process should compute with: what a lease (or the user) set OMP_NUM_THREADS to, or all cores.

    For backends whose framework reads another variable.
    """
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # a list is for nested regions
    return int(first) if first.isdecimal() and int(first) else usable_cores()


def environment() -> dict[str, str]:
    """Name -> value, all text. Imports no framework."""
    return {
        "recurra": version("recurra"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": f"{processor()}, {usable_cores()} cores",
        "numpy": version("numpy"),
        "pyarrow": version("pyarrow"),
    }


def peak_memory() -> int:
    """The largest resident memory of this process so far, in bytes."""
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
