"""Metrics agree with scikit-learn and with numbers worked out by hand, and are finite whatever the logits."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra import metrics
from recurra.errors import InputError, RecurraError
from recurra.experiment import Evaluate
from recurra.metrics import Metrics, accuracy_interval, calibration_error, measure, reliability


def sample(seed: int, count: int, classes: int, scale: float = 2.0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count)
    logits = (scale * generator.normal(size=(count, classes))).astype(np.float32)
    return labels, logits, [f"class {n}" for n in range(classes)]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(2, 8), st.integers(1, 10))
def test_agrees_with_scikit_learn_and_warns_of_nothing(seed: int, count: int, classes: int, top_k: int) -> None:
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    labels, logits, names = sample(seed, count, classes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measured = measure(labels, logits, names, Evaluate(top_k=top_k), seed=0).headline
        plain = np.exp(logits.astype(np.float64))
        plain /= plain.sum(1, keepdims=True)
        predicted = logits.argmax(1)
        assert measured["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
        assert measured["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
        assert measured["log_loss"] == pytest.approx(log_loss(labels, plain, labels=range(classes)))
    k = min(top_k, classes)
    among = (np.argsort(-logits, axis=1, kind="stable")[:, :k] == labels[:, None]).any(axis=1)
    assert measured[f"top_{k}"] == pytest.approx(among.mean())


def test_the_confusion_matrix_has_true_classes_in_rows() -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 1, 1, 2]]
    measured = measure(np.array([0, 0, 1, 2]), logits, ["a", "b", "c"], Evaluate(), seed=0)
    assert measured.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert [(s.precision, s.recall, s.support, s.predicted) for s in measured.per_class] == [
        (1.0, 0.5, 2, 1),
        (0.5, 1.0, 1, 2),
        (1.0, 1.0, 1, 1),
    ]


def test_calibration_error_is_the_weighted_gap_of_the_bins() -> None:
    # (0, 0.5]: one answer, 0.4 sure, right. (0.5, 1]: three, 0.8 sure, two right.
    bins = reliability(np.array([0.4, 0.7, 0.8, 0.9]), np.array([True, True, False, True]), bins=2)
    assert [part.count for part in bins] == [1, 3]
    assert calibration_error(bins) == pytest.approx(0.25 * 0.6 + 0.75 * (0.8 - 2 / 3))


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    bins = reliability(np.array([0.5, 1.0]), np.array([True, True]), bins=2)
    assert [part.count for part in bins] == [1, 1]


def test_a_wrong_answer_of_extreme_logits_costs_their_distance_and_not_infinity() -> None:
    logits = np.array([[0.0, 5000.0], [1e30, 0.0]], np.float32)
    measured = measure(np.array([0, 0]), logits, ["a", "b"], Evaluate(), seed=0)
    assert measured.headline["log_loss"] == pytest.approx(2500.0)


def test_the_interval_is_that_of_resampling_with_replacement() -> None:
    correct = np.arange(200) < 170
    generator = np.random.default_rng(1)
    resampled = correct[generator.integers(0, 200, (20_000, 200))].mean(axis=1)
    expected = np.quantile(resampled, [0.025, 0.975])
    np.testing.assert_allclose(accuracy_interval(0.85, 200, 20_000, seed=0), expected, atol=0.006)


def test_equal_seeds_give_equal_intervals_and_no_resamples_give_none() -> None:
    labels, logits, names = sample(0, 100, 4)
    first, again = (measure(labels, logits, names, Evaluate(), seed=7).headline for _ in range(2))
    assert first == again
    without = measure(labels, logits, names, Evaluate(bootstrap=0), seed=7).headline
    assert set(first) - set(without) == {"accuracy_low", "accuracy_high"}


def test_a_class_without_test_samples_has_no_recall_and_counts_only_where_it_was_answered() -> None:
    logits = np.eye(4, dtype=np.float32)[[0, 1, 2]]
    measured = measure(np.array([0, 1, 1]), logits, ["a", "b", "answered", "unseen"], Evaluate(), seed=0)
    answered, unseen = measured.per_class[2:]
    assert (answered.precision, answered.recall, answered.f1) == (0.0, None, 0.0)
    assert (unseen.precision, unseen.recall, unseen.f1) == (None, None, None)
    assert measured.headline["macro_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)


def test_metrics_survive_strict_json() -> None:
    labels, logits, names = sample(3, 5, 12)
    measured = measure(labels, logits, names, Evaluate(), seed=0)
    text = json.dumps(measured.to_json(), allow_nan=False)
    assert Metrics.from_json(json.loads(text)).to_json() == measured.to_json()


def test_the_size_of_a_block_does_not_change_the_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, logits, _ = sample(5, 101, 7)
    whole = metrics.answers(labels, logits)
    monkeypatch.setattr(metrics, "BLOCK", 70)
    for name in ("predicted", "confidence", "loss", "rank"):
        np.testing.assert_array_equal(getattr(metrics.answers(labels, logits), name), getattr(whole, name))


def test_samples_without_a_label_do_not_count() -> None:
    labels, logits, names = sample(6, 40, 3)
    expected = measure(labels[:30], logits[:30], names, Evaluate(), seed=0)
    labels[30:] = -1
    assert measure(labels, logits, names, Evaluate(), seed=0).to_json() == expected.to_json()


def test_an_unlabelled_test_split_is_refused_with_what_to_do() -> None:
    with pytest.raises(
        InputError, match=r"no labelled sample; give the source a test split or set data\.test_fraction"
    ):
        measure(np.full(3, -1), np.zeros((3, 2), np.float32), ["a", "b"], Evaluate(), seed=0)


def test_answers_that_are_not_numbers_are_refused() -> None:
    logits = np.array([[0, np.nan], [0, 1]], np.float32)
    with pytest.raises(RecurraError, match="1 of 2 test samples are not finite"):
        measure(np.array([0, 1]), logits, ["a", "b"], Evaluate(), seed=0)
