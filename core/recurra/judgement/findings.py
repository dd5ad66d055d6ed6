"""What a judgement found, as plain values: the structure of metrics.json that `recurra.judgement.judging` lists."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recurra.judgement.distances import diversity, frechet, kernel, kernel_error, precision_recall
from recurra.judgement.memorisation import Memorisation, Nearer, nearer
from recurra.judgement.motion import likeness
from recurra.judgement.observing import Observed
from recurra.judgement.referee import shares_right
from recurra.metrics import Metrics

FORMAT = 2


@dataclass(frozen=True)
class Findings:
    """All that was observed of one GAN."""

    kind: str
    """`image` or `clip`."""
    classes: tuple[str, ...]
    neighbours: int
    """k of precision and recall."""
    train: Observed
    test: Observed
    generated: Observed
    judge: Metrics
    """The judge's, on the real test split."""
    student: Metrics
    """The student's, on the same."""
    memorisation: Memorisation

    def to_json(self) -> dict[str, Any]:
        """For `write_json`: None for NaN."""
        diversities = [self._diversity(observed) for observed in (self.generated, self.train)]
        measures = self._measures(*diversities)
        trts, copies = self._trts(), self._nearer()
        found = {
            "format": FORMAT,
            "kind": "gan",
            "sample": self.kind,
            "classes": list(self.classes),
            "headline": self._headline(measures, trts, copies),
            "samples": self._samples(),
            "measures": measures,
            "tstr": _accuracy(self.student),
            "trtr": {**_accuracy(self.judge), "train_accuracy": float((self.train.seen == self.train.labels).mean())},
            "trts": trts,
            "per_class": self._per_class(*diversities),
            "memorisation": {**asdict(self.memorisation), "nearer": asdict(copies)},
            "motion": self._motion() if self.kind == "clip" else None,
        }
        return _without_nan(found)

    def _samples(self) -> dict[str, int]:
        observed = {"train": self.train, "test": self.test, "generated": self.generated}
        counts = {name: len(one.labels) for name, one in observed.items()}
        return {**counts, "compared": len(self.test.rows), "components": self.test.points.shape[1]}

    def _measures(self, value: np.ndarray, floor: np.ndarray) -> dict[str, dict[str, float]]:
        found = [self._compared(observed) for observed in (self.generated, self.train)]
        names = ("frechet", "kernel", "precision", "recall")
        measures = {name: {"value": found[0][i], "floor": found[1][i]} for i, name in enumerate(names)}
        measures["kernel"] |= {"value_error": self._error(self.generated), "floor_error": self._error(self.train)}
        return {**measures, "diversity": {"value": _least(value), "floor": _least(floor)}}

    def _error(self, observed: Observed) -> float:
        return kernel_error(self.test.points, observed.points)

    def _nearer(self) -> Nearer:
        return nearer(self.generated.points, self.train.points, self.test.points, len(self.train.labels))

    def _compared(self, observed: Observed) -> tuple[float, ...]:
        real, points = self.test.points, observed.points
        return frechet(real, points), kernel(real, points), *precision_recall(real, points, self.neighbours)

    def _diversity(self, observed: Observed) -> np.ndarray:
        test, classes = self.test, len(self.classes)
        return diversity(test.points, test.compared, observed.points, observed.compared, classes)

    def _trts(self) -> dict[str, Any]:
        labels, seen, classes = self.generated.labels, self.generated.seen, len(self.classes)
        told = seen >= 0
        confusion = np.bincount(labels[told] * classes + seen[told], minlength=classes**2).reshape(classes, classes)
        # The mean of the classes, because their proportions need not be those of the test split.
        right = {
            "accuracy": shares_right(seen == labels, labels, classes),
            "floor": shares_right(self.test.seen == self.test.labels, self.test.labels, classes),
        }
        both = np.isfinite(right["accuracy"]) & np.isfinite(right["floor"])
        means = {name: float(found[both].mean()) if both.any() else math.nan for name, found in right.items()}
        return {**means, "confusion": confusion.tolist()}

    def _headline(self, measures: dict[str, Any], trts: dict[str, Any], copies: Nearer) -> dict[str, float]:
        student, judge = self.student.headline, self.judge.headline
        found = {"tstr": student["accuracy"]}
        found |= {f"tstr_{end}": student.get(f"accuracy_{end}", math.nan) for end in ("low", "high")}
        found |= {"trtr": judge["accuracy"], "trts": trts["accuracy"], "trts_floor": trts["floor"]}
        for name in ("frechet", "kernel", "precision", "recall"):
            found |= {name: measures[name]["value"], f"{name}_floor": measures[name]["floor"]}
        found |= {"nearer": copies.share, "memorised": self.memorisation.share}
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def _per_class(self, value: np.ndarray, floor: np.ndarray) -> list[dict[str, Any]]:
        classes = len(self.classes)
        generated = self.generated
        right = shares_right(generated.seen == generated.labels, generated.labels, classes)
        sets = {"train": self.train.labels, "test": self.test.labels, "generated": generated.labels}
        sets["compared"] = self.test.compared
        counts = {name: np.bincount(labels, minlength=classes).tolist() for name, labels in sets.items()}
        return [
            {
                "name": name,
                **{kind: count[i] for kind, count in counts.items()},
                "tstr": self.student.per_class[i].recall,
                "trtr": self.judge.per_class[i].recall,
                "trts": float(right[i]),
                "diversity": float(value[i]),
                "diversity_floor": float(floor[i]),
            }
            for i, name in enumerate(self.classes)
        ]

    def _motion(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in ("change", "jitter"):
            overall = self._likeness(name, None)
            per_class = [self._likeness(name, number) for number in range(len(self.classes))]
            known = math.isfinite(overall["test"])
            found[name] = {"overall": overall, "per_class": per_class} if known else None
        return found

    def _likeness(self, name: str, number: int | None) -> dict[str, float]:
        values = [
            getattr(one.motion, name)[slice(None) if number is None else one.compared == number]
            for one in (self.generated, self.test, self.train)
        ]
        return asdict(likeness(*values))


def _accuracy(metrics: Metrics) -> dict[str, Any]:
    headline = {name: metrics.headline.get(f"accuracy_{name}") for name in ("low", "high")}
    return {"accuracy": metrics.headline["accuracy"], **headline, "confusion": metrics.confusion.tolist()}


def _least(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.min()) if len(known) else math.nan


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
