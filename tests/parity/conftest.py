"""Parity tests run each backend in a process of its own."""

from __future__ import annotations

import os

# One thread: the comparison is of arithmetic, and small networks spend their time waiting for a second one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
