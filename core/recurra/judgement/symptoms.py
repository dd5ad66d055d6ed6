"""What goes wrong in a GAN's training, told from its history, a line each that names what to change.

Thresholds are such that a training that goes well says nothing: there the discriminators are right 60% to 85% of the
time, recall grows to some tenths and stays, and labels are recognised well above chance before a third of the epochs is
over. Samples of the first epochs are alike, far off and without a label in every training, so what they lack is no
symptom before that third. What was not measured (None, NaN) proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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


def _measured(rows: Rows, name: str) -> list[tuple[Row, float]]:
    return [(row, value) for row in rows if (value := known(row, name)) is not None]


def _lost_variety(rows: Rows, setting: Setting) -> str | None:
    """Recall less than half of its best. Epochs whose samples were much farther from the real ones than now do not
    count, nor early ones that were farther at all: widely scattered noise lies near everything.
    """
    measured = [(row, value) for row, value in _measured(rows, "recall") if known(row, "frechet") is not None]
    if not measured:
        return None
    last, now = measured[-1]
    comparable = [
        (value, row["epoch"])
        for row, value in measured
        if row["frechet"] <= last["frechet"] * (1 if setting.early(row) else AS_NEAR)
    ]
    best, epoch = max(comparable, default=(0.0, 0))
    if best < KNOWN_RECALL or now >= best / 2:
        return None
    return f"variety is being lost (recall {now:.2f}, at epoch {epoch} {best:.2f}): mode collapse; {setting.variety}"


def _little_variety(rows: Rows, setting: Setting) -> str | None:
    measured = _measured(rows, "recall")
    if not measured or measured[-1][1] >= LOW_RECALL or setting.early(measured[-1][0]):
        return None
    found = f"most of the real samples' variety is missing (recall {measured[-1][1]:.2f})"
    return f"{found}; {setting.longer}, {setting.variety}"


def _alike(rows: Rows, setting: Setting) -> str | None:
    measured = _measured(rows, "diversity")
    if not measured or measured[-1][1] >= ALIKE:
        return None
    now, collapsed = measured[-1][1], max(value for _, value in measured) >= DIVERSE
    if setting.early(measured[-1][0]) and not collapsed:
        return None
    found = f"the samples of at least one class are nearly all alike (diversity {now:.2f} of the real ones')"
    return (
        f"{found}: mode collapse; {setting.variety}" if collapsed else f"{found}; {setting.longer}, {setting.variety}"
    )


def _discriminator_wins(rows: Rows, setting: Setting) -> str | None:
    names = ("real_right", "fake_right")
    lately = [[known(row, name) for name in names] for row in rows[-SURE_EPOCHS:]]
    if len(lately) < SURE_EPOCHS or not all(value is not None and value > SURE for pair in lately for value in pair):
        return None
    real, fake = lately[-1]
    found = f"the discriminators win (right on {real:.1%} of real and {fake:.1%} of generated samples)"
    return f"{found}, which leaves the generator nothing to learn from; {setting.stronger_penalty}," + (
        f" {setting.translation} or {setting.slower_discriminator}"
    )


def _labels_ignored(rows: Rows, setting: Setting) -> str | None:
    measured = _measured(rows, "label_accuracy")
    chance = 1 / setting.classes
    if not measured or setting.early(measured[-1][0]):
        return None
    now = measured[-1][1]
    if setting.classes < 2 or now >= chance + ABOVE_CHANCE * (1 - chance):
        return None
    width = setting.experiment.model.gan.embedding
    found = f"the generator has not learnt the label (recognised in {now:.2f} of the samples, chance is {chance:.2f})"
    return f"{found}; {setting.longer} or model.gan.embedding ({width}), or {setting.slower_discriminator}"


def _worse(rows: Rows, setting: Setting) -> str | None:
    measured = _measured(rows, "frechet")
    best, epoch = min(((value, row["epoch"]) for row, value in measured), default=(0.0, 0))
    lately = [value for row, value in measured[-WORSE_TIMES:] if row["epoch"] > epoch]
    if len(lately) < WORSE_TIMES or best <= 0 or min(lately) <= WORSE * best:
        return None
    found = f"samples have become worse (Frechet distance {lately[-1]:.3g}, at epoch {epoch} {best:.3g})"
    return f"{found}; lower train.learning_rate ({setting.experiment.train.learning_rate:g}) or train.epochs" + (
        f" ({setting.experiment.train.epochs}), or {setting.stronger_penalty}"
    )


RULES: tuple[Callable[[Rows, Setting], str | None], ...] = (
    _discriminator_wins,
    _lost_variety,
    _little_variety,
    _alike,
    _labels_ignored,
    _worse,
)
"""Each says what is wrong at the end of the rows it is given."""


def symptoms(history: Rows, experiment: Experiment, classes: int, newest: bool = False) -> list[str]:
    """What was wrong in the course of the training, a line each with the epochs; nothing where nothing was.

    history: the rows that the training kept, an epoch each. `newest`: only what began with the last row, without the
    epochs.
    """
    setting = Setting(experiment, classes)
    if newest:
        now = [(rule(history, setting), rule(history[:-1], setting)) for rule in RULES]
        return [line for line, before in now if line and not before]
    return [line for rule in RULES for line in _course(rule, history, setting)]


def _course(rule: Callable[[Rows, Setting], str | None], history: Rows, setting: Setting) -> list[str]:
    """The last time that it was so: when, and what it had come to; nothing where it never was."""
    lines = [rule(history[: end + 1], setting) for end in range(len(history))]
    last = max((i for i, line in enumerate(lines) if line), default=None)
    if last is None:
        return []
    first = last
    while first and lines[first - 1]:
        first -= 1
    start, stop = history[first]["epoch"], history[last]["epoch"]
    if last == len(history) - 1:
        when = f"from epoch {start} on"
    else:
        when = f"epoch {start}" if start == stop else f"epochs {start} to {stop}"
    return [f"{when}: {lines[last]}"]
