"""How the command ends: quickly; after Ctrl-C and SIGTERM in good order, and if that takes too long, at once."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import threading
from typing import NoReturn

from recurra_flows.cli import output

STOPPED = 130
PATIENCE = 15.0
"""Seconds for Prefect to write down how the run ended; a server that is busy or gone may take minutes. By then the
workers have ended, and the run's record says so.
"""


def obey() -> None:
    """From now on Ctrl-C and SIGTERM raise KeyboardInterrupt in the main thread, and the process ends within PATIENCE.

    Its end is short also when nobody stops it.
    """
    # Otherwise Python looks for garbage among all of Prefect first, which took 2 of the 4 seconds that a Ctrl-C took on
    # a busy machine. Runs last of all that runs at exit.
    atexit.register(gc.freeze)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # below nohup it is ignored
        signal.signal(signal.SIGINT, _interrupted)
    signal.signal(signal.SIGTERM, _interrupted)


def _interrupted(number: int, frame: object) -> NoReturn:
    del number, frame
    # An interrupt can be lost: Python only prints one that is raised in a callback.
    timer = threading.Timer(PATIENCE, _end)
    timer.daemon = True
    timer.start()
    raise KeyboardInterrupt


def _end() -> NoReturn:
    output.say("stopped; Prefect may still show the run as running")
    os._exit(STOPPED)
