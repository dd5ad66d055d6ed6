"""The rules that tell what goes wrong in a GAN's training, a line each that names what to change.

Thresholds are such that a training that goes well says nothing: there the discriminators are right 60% to 85% of the
time, recall grows to some tenths and stays, and labels are recognised well above chance before a third of the epochs is
over. Samples of the first epochs are alike, far off and without a label in every training, so what they lack is no
symptom before that third. What was not measured (None, NaN) proves nothing.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from recurra.experiment import Experiment

SURE = 0.97
"""Discriminators that are right more often, on real and on generated samples, leave the generator little to learn."""
SURE_EPOCHS = 3
"""One after the other, and then it is no passing lead."""
LOW_RECALL = 0.05
"""Generated samples lie near so few of the real ones: most of the variety is missing."""
KNOWN_RECALL = 0.2
"""A recall worth losing: half of less may be chance."""
AS_NEAR = 1.5
"""Times the Frechet distance of now: samples as good as those of now, or better."""
ALIKE = 0.2
"""Of the diversity of real samples, that of a class whose generated samples look like one."""
DIVERSE = 0.4
"""A class that was once so diverse and is `ALIKE` now has collapsed, however early."""
ABOVE_CHANCE = 0.1
"""Of the way from chance to certainty: labels that are recognised less often than that are not learnt."""
WORSE = 3.0
"""Times the least Frechet distance so far."""
WORSE_TIMES = 3
"""Measurements one after the other."""
EARLY = 3
"""A third of the epochs, but so many at least."""

Row = Mapping[str, Any]
Rows = Sequence[Row]


@dataclass(frozen=True)
class Setting:
    """What a symptom depends on besides the history."""

    experiment: Experiment
    classes: int

    @property
    def longer(self) -> str:
        """More epochs."""
        return f"raise train.epochs ({self.experiment.train.epochs})"

    @property
    def variety(self) -> str:
        """What to change where variety is missing."""
        return f"{self.stronger_penalty}, {self.translation} or lower train.learning_rate ({self._rate:g})"

    @property
    def stronger_penalty(self) -> str:
        """More of R1."""
        r1 = self.experiment.train.gan.r1
        return f"raise train.gan.r1 ({r1:g})" if r1 else "set train.gan.r1: 1"

    @property
    def translation(self) -> str:
        """More differentiable augmentation."""
        now = self.experiment.train.gan.translation
        return f"raise train.gan.translation ({now:g})" if now else "set train.gan.translation: 0.1"

    @property
    def slower_discriminator(self) -> str:
        """A smaller step of the discriminators."""
        rate = self.experiment.train.gan.discriminator_learning_rate or self._rate
        return f"lower train.gan.discriminator_learning_rate ({rate:g})"

    @property
    def _rate(self) -> float:
        return self.experiment.train.learning_rate

    def early(self, row: Row) -> bool:
        """Whether so little of the training is done that nothing can be asked of the samples."""
        return row["epoch"] < max(EARLY, self.experiment.train.epochs / 3)


def known(row: Row, name: str) -> float | None:
    """A number of the row; None where it was not measured."""
    value = row.get(name)
    return None if value is None or not math.isfinite(value) else float(value)


@dataclass
class Rule(ABC):
    """Says what is wrong, row by row; it remembers of the earlier rows what it needs, and takes as long for each."""

    setting: Setting
    name: ClassVar[str]
    """Of what is measured. Where it was not, things are as they were."""
    line: str | None = field(default=None, init=False)
    """What was wrong after the last row."""

    def after(self, row: Row) -> str | None:
        """What is wrong after the next row, in words; None where nothing is."""
        value = known(row, self.name)
        if value is not None:
            self.line = self.judged(row, value)
        return self.line

    @abstractmethod
    def judged(self, row: Row, value: float) -> str | None:
        """The same, given the number that was measured."""


class DiscriminatorWins(Rule):
    """The discriminators are right nearly always, for some epochs on end."""

    name = "real_right"
    sure = 0

    def after(self, row: Row) -> str | None:
        """Of every row: one in which it was not measured ends the lead."""
        real, fake = (known(row, name) for name in ("real_right", "fake_right"))
        lead = real is not None and fake is not None and min(real, fake) > SURE
        self.sure = self.sure + 1 if lead else 0
        return self.judged(row, real) if real is not None and self.sure >= SURE_EPOCHS else None

    def judged(self, row: Row, value: float) -> str:
        """In words."""
        setting = self.setting
        found = (
            f"the discriminators win (right on {value:.1%} of real and {row['fake_right']:.1%} of generated samples)"
        )
        return f"{found}, which leaves the generator nothing to learn from; {setting.stronger_penalty}," + (
            f" {setting.translation} or {setting.slower_discriminator}"
        )


@dataclass
class Within:
    """The highest recall within any distance, found in a few steps however many epochs there were."""

    distances: list[float] = field(default_factory=list)
    best: list[tuple[float, int]] = field(default_factory=list)
    """(recall, epoch), the highest up to each of the distances; both lists rise."""

    def add(self, distance: float, found: tuple[float, int]) -> None:
        """One more epoch."""
        if self.most(distance) >= found:
            return
        first, beyond = bisect_left(self.distances, distance), bisect_right(self.best, found)
        # Those as far or farther that had no more tell nothing from now on.
        self.distances[first:beyond], self.best[first:beyond] = [distance], [found]

    def most(self, distance: float) -> tuple[float, int]:
        """The highest recall up to a distance, and its epoch."""
        within = bisect_right(self.distances, distance)
        return self.best[within - 1] if within else (0.0, 0)


@dataclass
class LostVariety(Rule):
    """Recall less than half of its best. Epochs whose samples were much farther from the real ones than now do not
    count, nor early ones that were farther at all: widely scattered noise lies near everything.
    """

    name = "recall"
    early: Within = field(default_factory=Within, init=False)
    later: Within = field(default_factory=Within, init=False)

    def judged(self, row: Row, value: float) -> str | None:
        """Compared with the epochs that are comparable."""
        distance = known(row, "frechet")
        if distance is None:
            return self.line
        (self.early if self.setting.early(row) else self.later).add(distance, (value, row["epoch"]))
        best, epoch = max(self.early.most(distance), self.later.most(distance * AS_NEAR))
        if best < KNOWN_RECALL or value >= best / 2:
            return None
        found = f"variety is being lost (recall {value:.2f}, at epoch {epoch} {best:.2f}): mode collapse"
        return f"{found}; {self.setting.variety}"


class LittleVariety(Rule):
    """Hardly any recall, and the training is no longer young."""

    name = "recall"

    def judged(self, row: Row, value: float) -> str | None:
        """By itself."""
        if value >= LOW_RECALL or self.setting.early(row):
            return None
        found = f"most of the real samples' variety is missing (recall {value:.2f})"
        return f"{found}; {self.setting.longer}, {self.setting.variety}"


class Alike(Rule):
    """The samples of a class look like one."""

    name = "diversity"
    most = -math.inf

    def judged(self, row: Row, value: float) -> str | None:
        """Compared with the most that there was."""
        self.most = max(self.most, value)
        collapsed = self.most >= DIVERSE
        if value >= ALIKE or (self.setting.early(row) and not collapsed):
            return None
        found = f"the samples of at least one class are nearly all alike (diversity {value:.2f} of the real ones')"
        if collapsed:
            return f"{found}: mode collapse; {self.setting.variety}"
        return f"{found}; {self.setting.longer}, {self.setting.variety}"


class LabelsIgnored(Rule):
    """Labels are recognised hardly more often than by chance."""

    name = "label_accuracy"

    def judged(self, row: Row, value: float) -> str | None:
        """Compared with chance."""
        setting, chance = self.setting, 1 / self.setting.classes
        if setting.classes < 2 or setting.early(row) or value >= chance + ABOVE_CHANCE * (1 - chance):
            return None
        width = setting.experiment.model.gan.embedding
        found = f"the generator has not learnt the label (recognised in {value:.2f} of the samples, chance is"
        return f"{found} {chance:.2f}); {setting.longer} or model.gan.embedding ({width}), or" + (
            f" {setting.slower_discriminator}"
        )


class Worse(Rule):
    """Samples have been much farther from the real ones than they were, for some measurements on end."""

    name = "frechet"
    best = (math.inf, 0)
    times = 0

    def judged(self, row: Row, value: float) -> str | None:
        """Compared with the best."""
        if value < self.best[0]:
            self.best, self.times = (value, row["epoch"]), 0
        elif value > WORSE * self.best[0] > 0:
            self.times += 1
        else:
            self.times = 0
        if self.times < WORSE_TIMES:
            return None
        train = self.setting.experiment.train
        found = f"samples have become worse (Frechet distance {value:.3g}, at epoch {self.best[1]} {self.best[0]:.3g})"
        return f"{found}; lower train.learning_rate ({train.learning_rate:g}) or train.epochs ({train.epochs}), or" + (
            f" {self.setting.stronger_penalty}"
        )


RULES: tuple[type[Rule], ...] = (DiscriminatorWins, LostVariety, LittleVariety, Alike, LabelsIgnored, Worse)
