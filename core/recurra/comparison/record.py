"""A comparison's record: a folder among the runs' with comparison.json, written anew after every stage."""

from __future__ import annotations

from recurra.comparison.plan import Plan
from recurra.planned import Planned


class Comparison(Planned):
    """A comparison that is run, with the stages of all its cells and its probes by role."""

    FILE = "comparison.json"
    NOUN = "comparison"
    PLAN = Plan
    COMMAND = "compare"

    @property
    def plan(self) -> Plan:
        """What it does; an InputError where its record says nothing that can be done now."""
        return self.read_plan()
