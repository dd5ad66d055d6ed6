"""glibc's malloc, told to keep what is freed: every training step asks for the same large buffers again.

By default glibc hands each large buffer back to the kernel, which clears its pages anew at the next step; keeping them
made a CNN train 1.8 to 2.2 times faster. The process stays at its peak size, as it would under other allocators.
"""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache

# From malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGEST_KEPT = 32 * 2**20  # the highest that glibc takes
_FREE_KEPT = 2**31 - 1  # an int


@cache
def keep_freed_memory() -> bool:
    """Whether freed memory is kept from now on: on glibc, unless the environment tunes malloc itself."""
    tuned = any(name.startswith("MALLOC_") and name.endswith("_") for name in os.environ)
    if platform.libc_ver()[0] != "glibc" or tuned or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)) and bool(mallopt(_M_TRIM_THRESHOLD, _FREE_KEPT))
