"""Tells a run in Prefect's log, so that the dashboard's Logs tab reads like the command line's output."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path

from prefect import get_run_logger
from prefect.exceptions import MissingContextError
from prefect.logging import get_logger

from recurra.errors import RecurraError
from recurra.progress import Pace, duration, shown
from recurra.store import Outcome
from recurra_flows.watching import Watch

EVERY = 60.0
"""Seconds between two lines that say how far a long task is."""
EPOCHS = 100
"""Lines about the epochs of one training, about; of one of several trainings a tenth of that."""
LOGGERS = ("prefect.flow_runs", "prefect.task_runs")
"""Those that Prefect tells a failure to."""
_EPOCH = re.compile(r"epoch (\d+)/(\d+)\b")


def tell(line: str) -> None:
    """The line in the log of the task run that is here, or of the flow run."""
    try:
        logger = get_run_logger()
    except MissingContextError:
        logger = get_logger("recurra")
    (logger.warning if line.startswith("warning: ") else logger.info)(line.removeprefix("warning: "))


def deployed_watch(folder: Path | None = None, several: bool = False) -> Watch:
    """Tells progress and the ends of stages in Prefect's log; `folder` is where the workers' own output is kept.

    `several`: of many trainings, each of which has fewer lines.
    """
    epochs = EPOCHS // 10 if several else EPOCHS
    return Watch(LogLines(), stage_told, folder, lambda _: LogLines(epochs), logged=True)


def stage_told(role: str, outcome: Outcome) -> None:
    """A line: the stage's role, whether it was a hit, its seconds, and why."""
    tell(f"{role:<10}  {outcome.cache:<4}  {duration(outcome.seconds):>10}  {outcome.why}")


class LogLines:
    """A stage's progress as lines of the log: what is worth keeping, and now and then how far a long task is."""

    def __init__(self, epochs: int = EPOCHS) -> None:
        self.epochs = epochs
        self.task, self.unit, self.pace, self.last = "", "", Pace(None, 0), 0.0

    def begin(self, task: str, total: int | None, unit: str, done: int = 0) -> None:
        """Remembers the task."""
        self.task, self.unit, self.pace, self.last = task, unit, Pace(total, done), time.monotonic()

    def advance(self, done: int, **values: float) -> None:
        """A line where it is time for one."""
        self.pace.done = done
        if time.monotonic() - self.last >= EVERY:
            self.last, pace = time.monotonic(), self.pace
            of = f" of {pace.total:,}" if pace.total else ""
            left = f"  {duration(pace.left)} left" if pace.left and pace.done != pace.total else ""
            tell(f"{self.task}: {done:,}{of} {self.unit}{left}{shown(values)}")

    def end(self) -> None:
        """Nothing: what the task came to is noted by whoever did it."""

    def note(self, line: str) -> None:
        """The line; of a long training not every epoch's."""
        epoch = _EPOCH.match(line)
        if epoch is None or worth_telling(int(epoch[1]), int(epoch[2]), self.epochs):
            tell(line)

    def measured(self, row: Mapping[str, float | None], value: float | None) -> None:
        """Nothing: a line tells it."""


def failures_in_a_line() -> None:
    """From now on a failure that is ours has its line in the log, and its traceback only where debugging is on."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_in_a_line)  # the same one again is not added


def _in_a_line(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    if isinstance(error, RecurraError) and not logging.getLogger(record.name).isEnabledFor(logging.DEBUG):
        record.msg, record.args, record.exc_info, record.exc_text = f"failed: {error}", (), None, None
    return True


def worth_telling(epoch: int, epochs: int, lines: int) -> bool:
    """Whether an epoch has a line, where there are about so many: the first, the last and some between have."""
    return epoch in (1, epochs) or epoch % -(-epochs // lines) == 0
