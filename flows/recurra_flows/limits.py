"""How long a deployed flow may take, and how often it is tried again."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import Field

from recurra.errors import InputError, RecurraError
from recurra.experiment import Part
from recurra.progress import duration

R = TypeVar("R")
DOUBLINGS = 10
"""Waits double so many times at most."""
AGAIN = 30.0
"""Seconds after which time is called up again, where the first call was lost (in a callback of Python's own)."""
TIDYING = 600.0
"""Seconds that what ends because of it has meanwhile: workers are ended, stages published."""


class TimeIsUp(KeyboardInterrupt):
    """The flow took longer than it may. No Exception, so that nothing on the way takes it for a failure of its own."""


class TimedOutError(RecurraError):
    """The flow took longer than it may."""


class Limits(Part):
    """A time-out, and retries that wait longer each time."""

    timeout_minutes: Annotated[float, Field(gt=0, le=525_600)] | None = None
    """The run is ended and fails when it has taken longer than this, its retries included; left out: never."""
    retries: Annotated[int, Field(ge=0, le=100)] = 0
    """How often a run that failed is tried again; a training then goes on from its last checkpoint. Wrong input is
    not tried again."""
    wait_minutes: Annotated[float, Field(ge=0, le=1440)] = 1.0
    """Before the first retry; each further one waits twice as long."""

    def wait(self, retry: int) -> float:
        """Seconds before a retry, which are counted from 1."""
        return 60.0 * self.wait_minutes * 2 ** min(retry - 1, DOUBLINGS)


def tried(limits: Limits, attempt: Callable[[], R], tell: Callable[[str], None]) -> R:
    """What an attempt returns, the first or a later one; what the last one raised. `tell` is told of each failure."""

    def attempts() -> R:
        for retry in range(1, limits.retries + 1):
            try:
                return attempt()
            except InputError:
                raise
            except Exception as error:
                failure = str(error)
            wait = limits.wait(retry)
            tell(f"failed: {failure}; retry {retry} of {limits.retries} in {duration(wait)}")
            time.sleep(wait)
        return attempt()

    return in_time(limits.timeout_minutes, attempts)


def in_time(minutes: float | None, work: Callable[[], R]) -> R:
    """What the work returns; a TimedOutError where it has taken so long. None: however long it takes.

    In a process's main thread alone, where a flow of a deployment is; in another the work takes as long as it takes.
    """
    if minutes is None or threading.current_thread() is not threading.main_thread():
        return work()
    over, said = False, f"the run took longer than {duration(60.0 * minutes)} (limits.timeout_minutes) and was ended"

    def call(*_: Any) -> None:
        late = time.monotonic() - began - 60.0 * minutes
        if not over and not (_cleaning_up() and late < TIDYING):
            raise TimeIsUp(said)

    began = time.monotonic()
    due, every = signal.setitimer(signal.ITIMER_REAL, 0)
    handler = signal.signal(signal.SIGALRM, call)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, 60.0 * minutes, AGAIN)
            return work()
        finally:
            over = True  # from here on an alarm is nobody's; one just before is caught below
    except TimeIsUp:
        raise TimedOutError(said) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if due:  # somebody else's alarm goes on
            signal.setitimer(signal.ITIMER_REAL, max(0.01, due - (time.monotonic() - began)), every)


def _cleaning_up() -> bool:
    """Whether time was called up already, and what was underway is ending for it."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, TimeIsUp):
        error = error.__context__
    return error is not None
