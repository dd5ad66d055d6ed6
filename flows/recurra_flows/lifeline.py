"""A process that ends with the one that started it, however that one ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import BinaryIO

GRACE = 5.0
"""Seconds to end in good order."""
PARENT = "RECURRA_PARENT"
"""The variable that names the process to follow where there is no pipe from it: `PID STARTED`."""
LOOK = 1.0
"""Seconds between two looks at that process."""


def follow(pipe: BinaryIO) -> None:
    """From now on, ends this process when the other end of `pipe` is closed; the kernel closes it with its owner.

    One that leads a group of processes ends with its group.

    A pipe rather than Linux's parent-death signal: it works on every Unix, and does not depend on the thread that
    started the process.
    """
    threading.Thread(target=_watch, args=(pipe,), name="lifeline", daemon=True).start()


def lead() -> None:
    """From now on, the processes that this one starts can follow it with `follow_parent`."""
    import psutil

    os.environ[PARENT] = f"{os.getpid()} {psutil.Process().create_time()}"


def follow_parent() -> None:
    """From now on, ends this process when the one that leads it is gone; nothing where no process leads.

    For processes that Prefect starts: they have no pipe from their parent. A process whose number was given to another
    is told by when it was started.
    """
    named = os.environ.get(PARENT)
    if named and not any(thread.name == "parent" for thread in threading.enumerate()):  # not yet
        threading.Thread(target=_look, args=(*named.split(),), name="parent", daemon=True).start()


def _look(pid: str, started: str) -> None:
    while _lives(int(pid), float(started)):
        time.sleep(LOOK)
    _end()


def _lives(pid: int, started: float) -> bool:
    import psutil  # here, because most processes follow a pipe

    try:
        parent = psutil.Process(pid)
        return abs(parent.create_time() - started) < 0.1 and parent.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _watch(pipe: BinaryIO) -> None:
    while pipe.read(4096):
        pass
    _end()


def _end() -> None:
    if os.getpgrp() == os.getpid():  # what it has started as well: a forked child holds its lease
        os.killpg(0, signal.SIGTERM)
    else:
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)
