"""The plan of a sweep: the experiment, what of it varies, and how the next settings are chosen.

Every trial is a training of the experiment with other settings. Trials are compared by `train.monitor` on the
validation split: in the best epoch, or with `train.keep: last` in the last one. The test split is looked at once, with
the best trial, when all have ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from recurra.config import load_experiment
from recurra.errors import InputError
from recurra.experiment import Experiment, Part
from recurra.store import key_of
from recurra.sweep.fields import checked, varied
from recurra.sweep.space import Dimension, separated

TRIALS = 30
"""Where nobody says how many."""
MOST = 100_000
"""Trials of one sweep; more is a slip."""

Sampler = Literal["tpe", "random", "grid"]


class Plan(Part):
    """What a sweep does, decided beforehand."""

    experiment: Experiment
    """As its file and the overrides say."""
    space: Annotated[tuple[Dimension, ...], Field(min_length=1)]
    """What varies."""
    sampler: Sampler = "tpe"
    """`tpe` learns from the trials that have ended (Bergstra et al., 2011); `random` draws; `grid` takes every
    combination, in an order that is drawn. The seed is the experiment's."""
    prune: bool = True
    """Whether a trial is ended when it is worse than half of those before it were at that epoch."""
    trials: Annotated[int, Field(ge=1, le=MOST)] = TRIALS
    """In all. A sweep that has ended goes on where there are more of them."""

    @property
    def monitored(self) -> str:
        """The column of the history that trials are compared by."""
        return self.experiment.train.monitor

    @property
    def rising(self) -> bool:
        """Whether higher is better."""
        return self.monitored == "val_accuracy"

    @property
    def size(self) -> int | None:
        """How many combinations there are; None where they cannot be counted."""
        sizes = [each.size for each in self.space if each.size is not None]
        return prod(sizes) if len(sizes) == len(self.space) else None

    def trial(self, settings: Mapping[str, Any]) -> Experiment:
        """The experiment of a trial with these settings (dotted name -> value); an InputError where it is refused."""
        found = varied(self.experiment, settings, "not a valid experiment")
        _recognises(found)
        return found

    def best(self, settings: Mapping[str, Any]) -> Experiment:
        """As `trial`, by a name of its own; trained and measured it is the same."""
        return self.trial(settings).model_copy(update={"name": f"{self.experiment.name[:75]}-best"})

    def identity(self, made_from: Mapping[str, Any]) -> str:
        """The sweep's name: the same for the same plan on the same data with the same versions (`made_from`), however
        many trials it has.
        """
        settings = self.model_dump(mode="json", exclude={"trials": True, "experiment": {"name"}})
        return f"{self.experiment.name}-{key_of({'plan': settings, 'from': made_from})[:8]}"


def planned(
    file: Path, settings: Sequence[str], trials: int | None = None, sampler: Sampler = "tpe", prune: bool = True
) -> Plan:
    """The plan that an experiment file and the settings of a command line describe (`recurra.sweep.space`).

    `trials`: left out 30, of a grid all combinations. InputError: what cannot be swept, with the field's name.
    """
    overrides, swept = separated(settings)
    return _of(load_experiment(file, overrides), swept, str(file), trials, sampler, prune)


def of_space(
    experiment: Experiment,
    space: Sequence[str],
    trials: int | None = None,
    sampler: Sampler = "tpe",
    prune: bool = True,
) -> Plan:
    """As `planned`, of an experiment that is there; `space` has what varies and nothing else."""
    fixed, swept = separated(space)
    if fixed or not swept:
        found = f"found '{fixed[0]}', which does not vary" if fixed else "found none"
        raise InputError(f"space: expected FIELD=A..B or FIELD=X,Y, such as train.learning_rate=1e-4..1e-2, {found}")
    return _of(experiment, swept, experiment.name, trials, sampler, prune)


def _of(
    experiment: Experiment, swept: Sequence[Dimension], origin: str, trials: int | None, sampler: Sampler, prune: bool
) -> Plan:
    _recognises(experiment)
    if trials is not None and not 1 <= trials <= MOST:
        raise InputError(f"--trials {trials}: expected 1 to {MOST:,}")
    plan = Plan(
        experiment=experiment,
        space=checked(experiment, swept, origin),
        sampler=sampler,
        prune=prune,
        trials=trials or TRIALS,
    )
    return _of_grid(plan, trials) if sampler == "grid" else plan


def _recognises(experiment: Experiment) -> None:
    if experiment.model.kind == "gan":
        raise InputError("model.kind: a sweep is of a recogniser (cnn, rnn, fusion)")
    if experiment.data.augment.gan is not None:
        raise InputError("data.augment.gan: a sweep is of trainings on real samples; leave it out")


def _of_grid(plan: Plan, trials: int | None) -> Plan:
    """With as many trials as there are combinations, or the first of them that were asked for."""
    endless = next((each.field for each in plan.space if each.size is None), None)
    if endless or plan.size is None:
        raise InputError(f"{endless}: a grid needs a range that can be counted; give it a step (A..B:STEP) or choices")
    if trials is None and plan.size > MOST:
        raise InputError(f"--sampler grid: {plan.size:,} combinations are too many; use fewer values or --trials")
    return plan.model_copy(update={"trials": min(trials or plan.size, plan.size)})
