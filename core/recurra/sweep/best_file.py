"""The best trial as an experiment file."""

from __future__ import annotations

import yaml

from recurra.experiment import Experiment
from recurra.sweep.findings import Findings
from recurra.sweep.words import MONITORED, measure
from recurra.wording import plural


def best_file(found: Findings) -> str:
    """YAML that `recurra run` takes as it is, and whose training is then found in the store."""
    best = found.best
    said = f"{measure(found.plan, best.value)} {MONITORED[found.plan.monitored]}"
    lines = [
        f"The best of {plural(len(found.trials), 'trial')} of a sweep (trial {best.number}): {said}.",
        *(each.spelled for each in found.plan.space),
        "A relative data.source counts from the folder in which the command is given.",
    ]
    # One line each, whatever a value holds.
    about = "".join(f"# {' '.join(line.split())}\n" for line in lines)
    return about + file_of(found.experiment)


def file_of(experiment: Experiment) -> str:
    """An experiment file with what differs from the defaults."""
    settings = experiment.model_dump(mode="json", exclude_defaults=True)
    own = {"name": experiment.name, "seed": experiment.seed, "backend": experiment.backend}
    return yaml.safe_dump({**own, **settings}, sort_keys=False, allow_unicode=True)
