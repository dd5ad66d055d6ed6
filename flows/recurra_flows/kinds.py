"""The kinds of records beside runs: of what is run by a plan of several experiments."""

from __future__ import annotations

from recurra.comparison.record import Comparison
from recurra.planned import Planned
from recurra.study.record import Study
from recurra.sweep.record import Sweep

PLANNED: tuple[type[Planned], ...] = (Study, Comparison, Sweep)
