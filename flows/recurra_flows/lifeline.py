"""A process that ends with the one that started it, however that one ends."""

from __future__ import annotations

import os
import threading
from typing import BinaryIO


def follow(pipe: BinaryIO) -> None:
    """From now on, ends this process when the other end of `pipe` is closed; the kernel closes it with its owner.

    A pipe rather than Linux's parent-death signal: it works on every Unix, and does not depend on the thread that
    started the process.
    """
    threading.Thread(target=_watch, args=(pipe,), name="lifeline", daemon=True).start()


def _watch(pipe: BinaryIO) -> None:
    while pipe.read(4096):
        pass
    os._exit(1)
