"""Two networks on the same test samples, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.intervals import LEVEL, Interval

SHARE, DIRECTION = (1 - LEVEL) / 5, 4 * (1 - LEVEL) / 5
"""How the interval's chance to be wrong is parted: between how many samples tell two networks apart, and for whom."""


@dataclass(frozen=True)
class Duel:
    """How often each is right, and how sure the difference is."""

    samples: int
    champion: float
    """Accuracy."""
    challenger: float
    interval: Interval
    """Of the challenger's accuracy less the champion's: at least 95%, see `paired`."""
    only_champion: int
    """Samples that only the champion has right."""
    only_challenger: int
    groups: int | None = None
    """In how many groups the samples are; None where the dataset has no groups."""
    worth: float | None = None
    """How many independent samples those in groups are worth."""

    @classmethod
    def of(cls, champion: np.ndarray, challenger: np.ndarray, groups: np.ndarray | None = None) -> Duel | None:
        """From which of the same samples each has right, [N] bool each; None where there is no sample.

        groups: [N] int, the group of each sample, where samples of a group are alike.
        """
        samples = len(champion)
        if not samples:
            return None
        differences = challenger.astype(np.float64) - champion.astype(np.float64)
        only_champion, only_challenger = int((differences < 0).sum()), int((differences > 0).sum())
        worth = None if groups is None else independent(differences, groups)
        scale = 1.0 if worth is None else worth / samples
        return cls(
            samples,
            float(champion.mean()),
            float(challenger.mean()),
            paired(only_champion * scale, only_challenger * scale, samples * scale),
            only_champion,
            only_challenger,
            None if groups is None else len(np.unique(groups)),
            worth,
        )

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Duel:
        """From plain values."""
        return cls(**{**value, "interval": Interval(**value["interval"])})

    @property
    def difference(self) -> float:
        """The challenger's accuracy less the champion's."""
        return self.challenger - self.champion


def paired(only_champion: float, only_challenger: float, samples: float) -> Interval:
    """The interval of a difference in accuracy over the same samples, of at least 95% however few tell.

    The difference is s (2d - 1), with s the share of samples that only one of both has right, and d how many of those
    are the challenger's. Each has the exact interval of a binomial (Clopper and Pearson, 1934), s one of 99% and d,
    given how many samples tell, one of 96%; what both allow is wrong with their chances' sum at most (Bonferroni). It
    has a width where no sample tells, and lies above 0 only where McNemar's exact test has p <= 0.04.
    """
    telling = only_champion + only_challenger
    least, most = _binomial(telling, samples, SHARE)
    low, high = (2 * bound - 1 for bound in _binomial(only_challenger, telling, DIRECTION))
    return Interval(low * (least if low > 0 else most), high * (most if high > 0 else least))


def _binomial(count: float, of: float, error: float) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share, wrong with that chance at most; of parts of samples too."""
    from scipy.special import betaincinv

    low = 0.0 if count <= 0 else float(betaincinv(count, of - count + 1, error / 2))
    high = 1.0 if count >= of else float(betaincinv(count + 1, of - count, 1 - error / 2))
    return low, high


def independent(differences: np.ndarray, groups: np.ndarray) -> float:
    """How many independent samples some in groups are worth for the mean of differences [N] (Korn and Graubard, 1998).

    N divided by the design effect: how much more the mean varies than if samples were independent, by what the groups
    differ. Fewer again as the groups are few, by Student's t. Where all differences are equal nothing shows how alike
    the samples of a group are, and each group counts once.
    """
    from scipy.special import stdtrit

    samples, (names, place) = len(differences), np.unique(groups, return_inverse=True)
    count = len(names)
    if count < 2:
        return 1.0
    apart = differences - differences.mean()
    alone = float((apart**2).sum()) * samples / (samples - 1)
    together = float((np.bincount(place, apart, count) ** 2).sum()) * count / (count - 1)
    if alone == 0:
        return float(count)
    fewer = (stdtrit(samples - 1, 0.5 + LEVEL / 2) / stdtrit(count - 1, 0.5 + LEVEL / 2)) ** 2
    return float(np.clip(samples * alone / max(together, 1e-12) * fewer, 1.0, samples))
