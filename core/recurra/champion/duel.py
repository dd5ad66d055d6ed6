"""Two networks on the same test samples, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.comparison.significance import mcnemar
from recurra.intervals import LEVEL, Interval, over_samples


@dataclass(frozen=True)
class Duel:
    """How often each is right, and how sure the difference is."""

    samples: int
    champion: float
    """Accuracy."""
    challenger: float
    interval: Interval
    """Of the challenger's accuracy less the champion's: 95%, the paired bootstrap over test samples."""
    only_champion: int
    """Samples that only the champion has right."""
    only_challenger: int
    p: float
    """McNemar's, exact."""

    @classmethod
    def of(cls, champion: np.ndarray, challenger: np.ndarray) -> Duel | None:
        """From which of the same samples each has right, [N] bool each; None where there is no sample."""
        if not len(champion):
            return None
        differences = challenger.astype(np.int8) - champion.astype(np.int8)
        only_champion, only_challenger = int((differences < 0).sum()), int((differences > 0).sum())
        return cls(
            len(champion),
            float(champion.mean()),
            float(challenger.mean()),
            over_samples(differences[:, None], np.ones((len(champion), 1), bool)),
            only_champion,
            only_challenger,
            mcnemar(only_challenger, only_champion),
        )

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Duel:
        """From plain values."""
        return cls(**{**value, "interval": Interval(**value["interval"])})

    @property
    def difference(self) -> float:
        """The challenger's accuracy less the champion's."""
        return self.challenger - self.champion

    @property
    def by_chance(self) -> bool:
        """Whether two networks that err equally often differ so much more often than once in twenty times.

        The bootstrap alone is too sure where few samples tell: four of four in favour leave 0 out of its interval, and
        are no more than heads four times running.
        """
        return self.p > 1 - LEVEL
