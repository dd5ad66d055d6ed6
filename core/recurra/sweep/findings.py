"""What a sweep found: the best trial, what it comes to on the test split, and what made the difference."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recurra.dataset import Dataset
from recurra.durable import read_json
from recurra.errors import RecurraError
from recurra.experiment import Experiment
from recurra.metrics import Metrics
from recurra.store import Artifact, canonical
from recurra.sweep.plan import Plan
from recurra.sweep.space import Range
from recurra.sweep.trial import State, Trial, best_of
from recurra.sweep.words import answer
from recurra.wording import listed, plural

SCHEMA = 1
FEW = 20
"""Trials that are done, below which importances say little."""
_EDGE = 0.03
"""Part of a range at its ends where the best value hints that a better one lies beyond."""


@dataclass(frozen=True)
class Findings:
    """All of it."""

    plan: Plan
    trials: tuple[Trial, ...]
    best: Trial
    importances: dict[str, float]
    """Field -> its part in the differences between trials, the largest first; empty where that cannot be told."""
    test: dict[str, float]
    """Of the best trial, on the test split: accuracy, its interval, macro_f1, log_loss, and more."""
    test_samples: int
    validation_samples: int
    dataset: str
    """Key of the artifact that the best trial was trained on (stage preprocess)."""
    evaluation: str
    """Key of the artifact (stage evaluate)."""

    @property
    def experiment(self) -> Experiment:
        """The best trial's."""
        return self.plan.best(self.best.settings)

    def count(self, state: State) -> int:
        """Trials that ended so."""
        return Counter(trial.state for trial in self.trials)[state]

    @property
    def answer(self) -> str:
        """The best settings in one sentence."""
        return answer(self)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before believing it."""
        return tuple(caveats(self))

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `json.dumps(..., allow_nan=False)`."""
        return {
            "schema": SCHEMA,
            "answer": self.answer,
            "plan": self.plan.model_dump(mode="json"),
            "trials": [trial.to_json() for trial in self.trials],
            "best": self.best.number,
            # A list: JSON objects are written with sorted keys.
            "importances": [list(each) for each in self.importances.items()],
            "test": self.test,
            "test_samples": self.test_samples,
            "validation_samples": self.validation_samples,
            "dataset": self.dataset,
            "evaluation": self.evaluation,
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Findings:
        """What `to_json` gave."""
        trials = tuple(Trial.from_json(trial) for trial in value["trials"])
        names = ("test", "test_samples", "validation_samples", "dataset", "evaluation")
        return cls(
            plan=Plan.model_validate(value["plan"]),
            trials=trials,
            best=next(trial for trial in trials if trial.number == value["best"]),
            importances=dict(value["importances"]),
            **{name: value[name] for name in names},
        )


def find(
    plan: Plan, trials: Sequence[Trial], importances: Mapping[str, float], artifacts: Mapping[str, Artifact]
) -> Findings:
    """The findings. `artifacts` of the best trial, by role: preprocess, evaluate."""
    best, evaluation = best_of(plan, trials), artifacts["evaluate"]
    if best is None:
        raise RecurraError("no trial of the sweep was done, so none is the best")
    metrics = Metrics.from_json(read_json(evaluation.file("metrics.json")))
    return Findings(
        plan=plan,
        trials=tuple(trials),
        best=best,
        importances=dict(importances),
        test=dict(metrics.headline),
        test_samples=metrics.samples,
        validation_samples=len(Dataset.open(artifacts["preprocess"].path).splits["validation"]),
        dataset=artifacts["preprocess"].key,
        evaluation=evaluation.key,
    )


def caveats(found: Findings) -> Iterator[str]:
    """A sentence each."""
    plan, done = found.plan, found.count("done")
    if found.count("failed"):
        reasons = Counter(trial.reason for trial in found.trials if trial.state == "failed")
        reason, times = reasons.most_common(1)[0]
        often = "" if times == found.count("failed") else f", {times} of them for this reason"
        yield f"{plural(found.count('failed'), 'trial')} failed{often}: {reason}"
    edges = [each.field for each in plan.space if isinstance(each, Range) and _at_the_edge(each, found.best)]
    if edges:
        yield (
            f"The best value of {listed(edges)} lies at the end of its range: a better one may lie beyond. A wider"
            " range is another sweep; what was trained before is then found in the store."
        )
    if found.importances and done < FEW:
        yield f"{plural(done, 'trial')} came to the end: which settings matter most is then only a hint."
    if found.best.best_epoch is not None and found.best.best_epoch == found.best.epochs and done:
        yield (
            f"The best trial was best in its last epoch, {found.best.epochs}: it was still learning, and with more of"
            " train.epochs the answer may be another."
        )
    repeated = len(found.trials) - len({canonical(trial.settings) for trial in found.trials})
    if repeated:
        yield (
            f"{plural(repeated, 'trial')} had the settings of another:"
            f" {'the space has ' + format(plan.size, ',') + ' combinations' if plan.size else 'the space is small'}."
        )


def _at_the_edge(of: Range, best: Trial) -> bool:
    value, low, high = float(best.settings[of.field]), float(of.low), float(of.high)
    if of.log:
        value, low, high = (math.log(number) for number in (value, low, high))
    share = (value - low) / (high - low)
    return min(share, 1 - share) < _EDGE
