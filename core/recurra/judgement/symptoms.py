"""What goes wrong in a GAN's training, told from its history by `recurra.judgement.rules`."""

from __future__ import annotations

from recurra.experiment import Experiment
from recurra.judgement.rules import RULES, Row, Rows, Rule, Setting


class Watch:
    """Watches a training as it goes on, row by row."""

    def __init__(self, experiment: Experiment, classes: int) -> None:
        setting = Setting(experiment, classes)
        self.rules = [rule(setting) for rule in RULES]
        self.lines: list[str | None] = [None] * len(RULES)
        """What each of the rules said of the last row."""
        self.rows = 0
        """That were seen."""

    def after(self, row: Row) -> list[str]:
        """What began to be wrong with the next row, a line each."""
        self.rows += 1
        before, self.lines = self.lines, [rule.after(row) for rule in self.rules]
        return [line for line, earlier in zip(self.lines, before, strict=True) if line and not earlier]


def symptoms(history: Rows, experiment: Experiment, classes: int) -> list[str]:
    """What was wrong in the course of the training, a line each with the epochs; nothing where nothing was.

    history: the rows that the training kept, an epoch each.
    """
    setting = Setting(experiment, classes)
    return [line for rule in RULES for line in _course(rule(setting), history)]


def _course(rule: Rule, history: Rows) -> list[str]:
    """The last time that it was so: when, and what it had come to; nothing where it never was."""
    lines = [rule.after(row) for row in history]
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
