"""Heeds a flow run's cancellation from the dashboard where no Prefect worker does: in a process that a user started."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextvars import copy_context
from types import FrameType
from typing import Any
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import Abort
from prefect.logging import get_logger
from prefect.states import Cancelled

EVERY = 2.0
"""Seconds between two looks at the flow run's state."""


class CancelledRun(Abort, KeyboardInterrupt):
    """The flow run was cancelled. An Abort, so that Prefect leaves the state as it is; for everybody else a Ctrl-C."""

    def __init__(self, state: Any) -> None:
        super().__init__("the flow run was cancelled")
        self.state = state


class Cancellation:
    """Looks at a flow run's state until `close`; calls `stop` where it is being cancelled.

    Where the flow is in the main thread, it is interrupted there as by Ctrl-C.
    """

    def __init__(self, flow_run: FlowRun, stop: Callable[[], None]) -> None:
        self.flow_run, self.stop, self.heard = flow_run.id, stop, False
        self._over, self._lock = threading.Event(), threading.Lock()
        self._in_main = threading.current_thread() is threading.main_thread()
        threading.Thread(target=copy_context().run, args=(self._watch,), name="cancellation", daemon=True).start()

    def close(self) -> None:
        """Looks no more. What it has begun to interrupt is interrupted before this returns."""
        self._over.set()
        with self._lock:
            pass

    def confirm(self) -> CancelledRun:
        """Sets the flow run Cancelled; what is to be raised then."""
        state = Cancelled(message="The run was cancelled.")
        try:
            with get_client(sync_client=True) as client:
                state = client.set_flow_run_state(self.flow_run, state, force=True).state or state
        except Exception:
            get_logger("task_runner").warning("Prefect could not be told that the run is cancelled", exc_info=True)
        return CancelledRun(state)

    def _watch(self) -> None:
        # Each look is a request of its own: a server that is away for a time is asked again.
        while not self._over.wait(EVERY):
            if _being_cancelled(self.flow_run):
                with self._lock:
                    if not self._over.is_set():
                        self.heard = True
                        self._interrupt()
                return

    def _interrupt(self) -> None:
        handler = _catching() if self._in_main else None
        if handler is None:
            self.stop()
        else:
            # To the main thread itself: only that wakes it from waiting for a task.
            signal.pthread_kill(_ident(threading.main_thread()), handler)


def _being_cancelled(flow_run: UUID) -> bool:
    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(flow_run).state
    except Exception:
        return False
    return state is not None and (state.is_cancelling() or state.is_cancelled())


def _catching() -> signal.Signals | None:
    """A signal that becomes an exception: Ctrl-C's is ignored below nohup, and SIGTERM's is caught by Prefect."""
    for number in (signal.SIGINT, signal.SIGTERM):
        handler: Callable[[int, FrameType | None], Any] | int | None = signal.getsignal(number)
        if callable(handler):
            return number
    return None


def _ident(thread: threading.Thread) -> int:
    assert thread.ident is not None  # it has started
    return thread.ident
