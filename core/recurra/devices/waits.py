"""Waiting: how often to look again, when to say so, and when to give up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from recurra.errors import RecurraError

SHORTEST, LONGEST = 0.02, 0.2
"""Seconds between two looks: a tenth of the time waited, within these."""
FIRST_WORD, NEXT_WORD = 2.0, 60.0
"""Seconds until the wait is told of, and until it is again."""

T = TypeVar("T")


class Withdrawn(RecurraError):  # noqa: N818 - what happened, no fault
    """A request was withdrawn while it waited."""


class Wait:
    """One wait. `stop` true ends it; `waiting` is told of it now and then."""

    def __init__(self, stop: Callable[[], bool], waiting: Callable[[str], None]) -> None:
        self.stop, self.waiting = stop, waiting
        self.start = time.monotonic()
        self.word = self.start + FIRST_WORD

    def until(self, attempt: Callable[[], T | None], line: Callable[[], str]) -> T:
        """What `attempt` answers as soon as it is not None; Withdrawn where `stop` says so first.

        `line` makes the words that `waiting` is told.
        """
        while True:
            if self.stop():
                raise Withdrawn("the request for devices was withdrawn")
            answer = attempt()
            if answer is not None:
                return answer
            self._pause(line)

    def _pause(self, line: Callable[[], str]) -> None:
        now = time.monotonic()
        if now >= self.word:
            self.word = now + NEXT_WORD
            self.waiting(line())
        time.sleep(min(LONGEST, max(SHORTEST, (now - self.start) / 10)))
