"""How many trainings of a study are left, and about how long they take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from recurra.progress import duration
from recurra.store import Outcome


@dataclass(frozen=True)
class Work:
    """A training that lies ahead."""

    kind: str
    """Trainings of one kind take the same time for each sample."""
    samples: int
    """That it sees, over all epochs."""


class Countdown:
    """Trainings by role, ticked off as they end; `jobs` of them run at once."""

    def __init__(self, ahead: Mapping[str, Work], jobs: int = 1) -> None:
        self.total, self.left, self.jobs = len(ahead), dict(ahead), jobs
        self._samples: dict[str, int] = {}
        self._seconds: dict[str, float] = {}
        self._last = ""

    def done(self, role: str, outcome: Outcome) -> str:
        """What to say when a training has ended."""
        work = self.left.pop(role)
        self._last = work.kind
        self._samples[work.kind] = self._samples.get(work.kind, 0) + work.samples
        self.spent(outcome)
        seconds = self.seconds_left()
        time = f", at most about {duration(seconds)}" if seconds else ""
        return f"{self.total - len(self.left)} of {self.total} trainings done, {len(self.left)} left{time}"

    def spent(self, outcome: Outcome, kind: str | None = None) -> None:
        """Counts a stage's time with that of trainings of a kind: of the last one's, as its evaluation belongs to each
        of them.
        """
        # An artifact knows how long it took to make, whenever that was.
        kind = self._last if kind is None else kind
        self._seconds[kind] = self._seconds.get(kind, 0.0) + outcome.artifact.seconds

    def seconds_left(self) -> float | None:
        """Seconds for all that is left; None as long as there is a kind of which none has ended."""
        if {work.kind for work in self.left.values()} - self._seconds.keys():
            return None
        ahead = [work.samples * self._seconds[work.kind] / self._samples[work.kind] for work in self.left.values()]
        return max([*ahead, sum(ahead) / self.jobs], default=0.0)
