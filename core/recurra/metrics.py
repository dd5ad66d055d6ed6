"""What is measured on a test split: accuracy and its interval, scores of each class, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recurra.errors import InputError, RecurraError
from recurra.experiment import Evaluate

BLOCK = 1 << 22
"""Logits looked at together, so that the float64 copies of a large test split stay small."""


@dataclass(frozen=True)
class ClassScore:
    """Scores of one class.

    A ratio whose denominator is 0 is None: recall where the class has no test sample, precision where it was
    never predicted, F1 where both.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    """Test samples of the class."""
    predicted: int
    """Test samples that were taken for the class."""


@dataclass(frozen=True)
class Bin:
    """The samples whose confidence lies in (low, high]. Means are None where there are none."""

    low: float
    high: float
    count: int
    confidence: float | None
    """Mean confidence."""
    accuracy: float | None


@dataclass(frozen=True)
class Metrics:
    """All that was measured. No value is NaN or infinite."""

    samples: int
    classes: tuple[str, ...]
    headline: dict[str, float]
    """accuracy, accuracy_low and accuracy_high (95%; left out with `evaluate.bootstrap: 0`), top_K, macro_f1,
    log_loss, ece."""
    per_class: tuple[ClassScore, ...]
    confusion: np.ndarray
    """[K, K] int64: samples of class [row] that were taken for class [column]."""
    reliability: tuple[Bin, ...]
    majority: float
    """The accuracy of always answering the test split's most frequent class."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `json.dumps(..., allow_nan=False)`."""
        return {**asdict(self), "classes": list(self.classes), "confusion": self.confusion.tolist()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Metrics:
        """The metrics that `to_json` gave; further keys are ignored."""
        return cls(
            samples=value["samples"],
            classes=tuple(value["classes"]),
            headline=value["headline"],
            per_class=tuple(ClassScore(**score) for score in value["per_class"]),
            confusion=np.asarray(value["confusion"], np.int64),
            reliability=tuple(Bin(**part) for part in value["reliability"]),
            majority=value["majority"],
        )


@dataclass(frozen=True)
class Answers:
    """What the logits say of each sample."""

    predicted: np.ndarray
    """[N] int64; of equal logits the first wins."""
    confidence: np.ndarray
    """[N] float64, the probability of the predicted class."""
    loss: np.ndarray
    """[N] float64, -log p(label), natural logarithm."""
    rank: np.ndarray
    """[N] int64, the label's place among the classes from the likeliest, 0 where it was predicted."""


def _answers(labels: np.ndarray, logits: np.ndarray) -> Answers:
    """One block. From logits and not from probabilities: a probability that rounds to 0 has no logarithm."""
    z = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    own = z[np.arange(len(z)), labels]
    log_total = np.log(np.exp(z).sum(axis=1))
    tied_before = (z == own[:, None]) & (np.arange(z.shape[1]) < labels[:, None])
    rank = (z > own[:, None]).sum(axis=1) + tied_before.sum(axis=1)
    return Answers(z.argmax(axis=1), np.exp(-log_total), log_total - own, rank)


def answers(labels: np.ndarray, logits: np.ndarray) -> Answers:
    """Labels [N] int64 and logits [N, K] float32 -> what they say, worked out block by block."""
    rows = max(1, BLOCK // max(1, logits.shape[1]))
    blocks = [_answers(labels[i : i + rows], logits[i : i + rows]) for i in range(0, len(labels), rows)]
    return Answers(*(np.concatenate([getattr(b, name) for b in blocks]) for name in Answers.__annotations__))


def accuracy_interval(accuracy: float, samples: int, resamples: int, seed: int) -> tuple[float, float]:
    """The percentile bootstrap's 95% interval of an accuracy (Efron, 1979).

    Drawing N of N right-or-wrong answers with replacement gives Binomial(N, accuracy) right ones: one draw a
    resample is the same distribution, without the N x resamples array.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    low, high = np.quantile(generator.binomial(samples, accuracy, resamples) / samples, [0.025, 0.975])
    return float(low), float(high)


def reliability(confidence: np.ndarray, correct: np.ndarray, bins: int) -> tuple[Bin, ...]:
    """Confidence [N] in (0, 1] and correct [N] bool, in bins of equal width."""
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    divisor = np.maximum(counts, 1)
    sure = np.bincount(place, confidence, bins) / divisor
    right = np.bincount(place, correct, bins) / divisor
    return tuple(
        Bin(i / bins, (i + 1) / bins, int(n), float(sure[i]) if n else None, float(right[i]) if n else None)
        for i, n in enumerate(counts)
    )


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error (Guo et al., 2017): sum over bins of count / N * |accuracy - confidence|."""
    total = sum(part.count for part in bins)
    gaps = (
        part.count * abs(part.accuracy - part.confidence)
        for part in bins
        if part.accuracy is not None and part.confidence is not None
    )
    return sum(gaps) / max(1, total)


def _check(labels: np.ndarray, logits: np.ndarray, classes: Sequence[str]) -> None:
    if not len(labels):
        raise InputError(
            "evaluate: the test split has no labelled sample; give the source a test split or set data.test_fraction"
        )
    if logits.shape != (len(labels), len(classes)):
        raise RecurraError(f"the backend gave logits {list(logits.shape)}, expected [{len(labels)}, {len(classes)}]")
    if labels.max() >= len(classes):
        raise RecurraError(f"a label is {labels.max()}, with {len(classes)} classes the largest is {len(classes) - 1}")
    broken = len(labels) - int(np.isfinite(logits).all(axis=1).sum())
    if broken:
        raise RecurraError(
            f"the network's answers to {broken} of {len(labels)} test samples are not finite numbers;"
            " train with a smaller train.learning_rate or with train.clip_norm"
        )


def _ratio(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _class_scores(labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> tuple[ClassScore, ...]:
    from sklearn.metrics import precision_recall_fscore_support

    numbers: Any = range(len(classes))
    undefined: Any = np.nan
    scores: Any = precision_recall_fscore_support(labels, predicted, labels=numbers, zero_division=undefined)
    taken = np.bincount(predicted, minlength=len(classes))
    return tuple(
        ClassScore(name, _ratio(precision), _ratio(recall), _ratio(f1), int(support), int(count))
        for name, precision, recall, f1, support, count in zip(classes, *scores, taken, strict=True)
    )


def _confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    from sklearn.metrics import confusion_matrix

    numbers: Any = range(classes)
    return confusion_matrix(labels, predicted, labels=numbers).astype(np.int64)


def measure(labels: np.ndarray, logits: np.ndarray, classes: Sequence[str], settings: Evaluate, seed: int) -> Metrics:
    """Everything that is measured, from labels [N] int64 and logits [N, K] float32.

    A sample with label -1 (none) does not count. A class that is neither among the labels nor among the
    predictions does not count in macro F1, as in scikit-learn; `ClassScore` says what such a class scores.
    `top_k` above the number of classes is that number.
    """
    labelled = labels >= 0
    if not labelled.all():
        labels, logits = labels[labelled], logits[labelled]
    _check(labels, logits, classes)
    said, count, k = answers(labels, logits), len(labels), min(settings.top_k, len(classes))
    correct = said.predicted == labels
    bins = reliability(said.confidence, correct, settings.calibration_bins)
    scores = _class_scores(labels, said.predicted, classes)
    f1 = [score.f1 for score in scores if score.f1 is not None]
    headline = {"accuracy": float(correct.mean())}
    if settings.bootstrap:
        interval = accuracy_interval(headline["accuracy"], count, settings.bootstrap, seed)
        headline |= dict(zip(("accuracy_low", "accuracy_high"), interval, strict=True))
    headline |= {
        f"top_{k}": float((said.rank < k).mean()),
        "macro_f1": float(np.mean(f1)),
        "log_loss": float(said.loss.mean()),
        "ece": calibration_error(bins),
    }
    return Metrics(
        samples=count,
        classes=tuple(classes),
        headline=headline,
        per_class=scores,
        confusion=_confusion(labels, said.predicted, len(classes)),
        reliability=bins,
        majority=float(np.bincount(labels).max() / count),
    )
