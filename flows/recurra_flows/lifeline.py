"""A process that ends with the one that started it, however that one ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import BinaryIO

GRACE = 5.0
"""Seconds to end in good order."""


def follow(pipe: BinaryIO) -> None:
    """From now on, ends this process when the other end of `pipe` is closed; the kernel closes it with its owner.

    One that leads a group of processes ends with its group.

    A pipe rather than Linux's parent-death signal: it works on every Unix, and does not depend on the thread that
    started the process.
    """
    threading.Thread(target=_watch, args=(pipe,), name="lifeline", daemon=True).start()


def _watch(pipe: BinaryIO) -> None:
    while pipe.read(4096):
        pass
    if os.getpgrp() == os.getpid():  # what it has started as well: a forked child holds its lease
        os.killpg(0, signal.SIGTERM)
    else:
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)
