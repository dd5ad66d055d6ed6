"""One arm beside another: by how much it is better, how sure that is, and what to say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from recurra.intervals import Interval, over_samples, over_seeds
from recurra.pairing import Answered, paired
from recurra.wording import points

Verdict = Literal["helps", "harms", "none", "unknown"]
NAMES = {
    "real": "real samples",
    "generated": "real + generated",
    "classical": "real + classical",
    "both": "real + generated + classical",
}
"""Arm -> what it trains on, in a few words."""
SUBJECTS = {
    ("generated", "real"): "generated samples",
    ("classical", "real"): "classical augmentation",
    ("both", "real"): "both together",
    ("both", "classical"): "generated samples on top of classical augmentation",
}
"""(arm, the arm that it is compared with) -> what the difference is of."""


@dataclass(frozen=True)
class Comparison:
    """How the accuracy of one arm differs from that of another, on one fraction of the training data."""

    fraction: float
    arm: str
    against: str
    differences: tuple[float, ...]
    """Of accuracy, one a seed."""
    over_seeds: Interval | None
    """Of the mean difference, over seeds; None for a single seed."""
    over_samples: Interval
    """Of the mean difference, over test samples."""

    @property
    def mean(self) -> float:
        """The mean difference in accuracy; above 0 where `arm` is better."""
        return float(np.mean(self.differences))

    @property
    def interval(self) -> Interval:
        """Both intervals together: an effect must hold for other seeds and for other test samples."""
        return self.over_samples.joined(self.over_seeds)

    @property
    def verdict(self) -> Verdict:
        """What can be said. `unknown`: a single seed does not tell how much trainings differ anyway."""
        if self.over_seeds is None:
            return "unknown"
        if 0.0 in self.interval:
            return "none"
        return "helps" if self.mean > 0 else "harms"

    @property
    def words(self) -> str:
        """The verdict in plain words."""
        subject = SUBJECTS[self.arm, self.against]
        shown = f"{points(self.mean)} points"
        within = f"95% interval {points(self.interval.low)} to {points(self.interval.high)}"
        if self.verdict == "unknown":
            return f"{subject}: {shown}, but one seed cannot tell an effect from chance"
        if self.verdict == "none":
            return f"{subject}: no difference can be seen ({shown}, {within}); {self._hidden()}{self._wanting()}"
        return f"{subject}: {self.verdict} ({shown}, {within})"

    def _hidden(self) -> str:
        gain, loss = max(0.0, self.interval.high), max(0.0, -self.interval.low)
        could = [
            f"a {noun} of up to {100 * size:.1f} points" for noun, size in (("gain", gain), ("loss", loss)) if size
        ]
        return f"{' or '.join(could)} could hide" if could else "every answer is equally right"

    def _wanting(self) -> str:
        """What would make it surer, where one of both intervals leaves out 0."""
        if 0.0 not in self.over_samples:
            return " (of these very networks there is one; more seeds could tell whether of others too)"
        if self.over_seeds is not None and 0.0 not in self.over_seeds:
            return " (every seed agrees; more test samples could tell)"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Plain values, the verdict and its words among them."""
        derived = {"mean": self.mean, "interval": asdict(self.interval), "verdict": self.verdict, "words": self.words}
        return {**asdict(self), "differences": list(self.differences), **derived}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Comparison:
        """What `to_json` gave; what is derived is ignored."""
        seeds = value["over_seeds"]
        return cls(
            fraction=value["fraction"],
            arm=value["arm"],
            against=value["against"],
            differences=tuple(value["differences"]),
            over_seeds=Interval(**seeds) if seeds else None,
            over_samples=Interval(**value["over_samples"]),
        )


def compared(fraction: float, arm: str, against: str, pairs: Sequence[tuple[Answered, Answered]]) -> Comparison:
    """The comparison from (arm, against) of each seed; both of a pair answered the same samples in the same order."""
    means = [float(ours.correct.mean() - theirs.correct.mean()) for ours, theirs in pairs]
    return Comparison(fraction, arm, against, tuple(means), over_seeds(means), over_samples(*paired(pairs)))
