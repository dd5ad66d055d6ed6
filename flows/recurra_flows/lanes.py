"""Work side by side: each lane does one task after the other, and what it does in between is done in one thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from queue import SimpleQueue
from typing import Any, Protocol


class Future(Protocol):
    """What submitting a task gives, of Prefect or of `concurrent.futures`."""

    def result(self) -> Any:
        """What the task returned; raises what it raised."""
        ...

    def add_done_callback(self, fn: Callable[[Any], None], /) -> None:
        """Calls `fn` with the future, in any thread, when the task has ended."""
        ...


Lane = Generator[Future, Any, None]
"""Yields the future of each of its tasks, and is sent what the task returned, or is thrown what it raised."""


class Lanes:
    """As many lanes at once as there is room for, the others after them in the order in which they were added."""

    def __init__(self, room: int) -> None:
        self.room, self._waiting, self._running = room, deque[tuple[str, Lane]](), dict[str, Lane]()
        self._ended: SimpleQueue[tuple[str, Future]] = SimpleQueue()

    def add(self, name: str, lane: Lane) -> None:
        """One more, also while the others run; its name is its own."""
        self._waiting.append((name, lane))

    def run(self, failed: Callable[[str, Exception], None]) -> None:
        """Runs all of them to their ends. `failed` is told at once of one that failed, which ends no other."""
        while self._waiting or self._running:
            while self._waiting and len(self._running) < self.room:
                name, lane = self._waiting.popleft()
                self._running[name] = lane
                self._go_on(name, lambda lane=lane: next(lane), failed)
            if self._running:
                name, task = self._ended.get()
                self._go_on(name, self._step(self._running[name], task), failed)

    @staticmethod
    def _step(lane: Lane, task: Future) -> Callable[[], Future]:
        try:
            value = task.result()
        except Exception as error:
            raised = error  # the name `error` ends with this block
            return lambda: lane.throw(raised)
        return lambda: lane.send(value)

    def _go_on(self, name: str, step: Callable[[], Future], failed: Callable[[str, Exception], None]) -> None:
        """Takes a lane to its next task, or to its end."""
        try:
            task = step()
        except StopIteration:
            del self._running[name]
        except Exception as error:
            del self._running[name]
            failed(name, error)
        else:
            task.add_done_callback(lambda _: self._ended.put((name, task)))
