"""A study's record: a folder among the runs' with study.json, written anew after every stage."""

from __future__ import annotations

from recurra.experiment import Experiment
from recurra.planned import Planned
from recurra.study.plan import Plan


class Study(Planned):
    """A study that is run, with the stages of all its cells by role (`Cell.role`)."""

    FILE = "study.json"
    NOUN = "study"
    PLAN = Plan
    COMMAND = "augment"

    @property
    def plan(self) -> Plan:
        """What it does; an InputError where its record says nothing that can be done now."""
        return self.read_plan()

    @property
    def gan(self) -> Experiment:
        """The GAN's; each cell has one of its own."""
        return self.plan.gan
