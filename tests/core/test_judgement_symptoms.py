"""A training that goes well says nothing; one that goes wrong says once what is wrong and what to change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.experiment import Experiment
from recurra.judgement.symptoms import Watch, symptoms


def experiment(epochs: int = 30, **gan: Any) -> Experiment:
    return Experiment.model_validate({
        "name": "x",
        "data": {"source": "x"},
        "model": {"kind": "gan"},
        "train": {"epochs": epochs, "gan": gan},
    })  # fmt: skip


def healthy(epochs: int = 30) -> list[dict[str, Any]]:
    """Nothing at first, then better and better."""
    part = np.linspace(0, 1, epochs)
    return [
        {
            "epoch": n + 1,
            "real_right": 0.85 - 0.25 * p,
            "fake_right": 0.8 - 0.15 * p,
            "frechet": 50 * np.exp(-4 * p) + 2,
            "recall": 0.5 * min(1.0, 2.5 * p),
            "precision": 0.7,
            "label_accuracy": 0.1 + 0.85 * min(1.0, 3 * p),
            "diversity": 0.05 + 0.8 * min(1.0, 3 * p),
        }
        for n, p in enumerate(part)
    ]


def changed(first: int, **values: float | None) -> list[dict[str, Any]]:
    """The healthy training, but from epoch `first` on."""
    return [row | values if row["epoch"] >= first else row for row in healthy()]


def told(rows: list[dict[str, Any]], asked: Experiment | None = None, classes: int = 10) -> list[list[str]]:
    """What a watch says of each row in turn."""
    watch = Watch(asked or experiment(), classes)
    return [watch.after(row) for row in rows]


def test_a_healthy_training_says_nothing_at_any_time() -> None:
    rows = healthy()
    assert told(rows) == [[]] * 30
    assert symptoms(rows, experiment(), 10) == []


CASES = [
    (
        {"recall": 0.12, "frechet": 10.0},
        20,
        "variety is being lost (recall 0.12, at epoch",
        ["train.gan.r1", "train.gan.translation"],
    ),
    ({"diversity": 0.1}, 20, "at least one class are nearly all alike", ["train.gan.r1", "train.learning_rate"]),
    ({"label_accuracy": 0.11}, 20, "has not learnt the label", ["train.epochs", "model.gan.embedding"]),
    ({"real_right": 0.99, "fake_right": 0.98}, 18, "the discriminators win", ["discriminator_learning_rate"]),
    ({"frechet": 70.0}, 18, "samples have become worse", ["train.learning_rate"]),
]


@pytest.mark.parametrize(("values", "first", "words", "settings_named"), CASES)
def test_each_symptom_is_told_once_and_names_what_to_change(
    values: dict[str, float], first: int, words: str, settings_named: list[str]
) -> None:
    rows = changed(first, **values)
    own = [(n, line) for n, lines in enumerate(told(rows), 1) for line in lines if words in line]
    assert [n for n, _ in own] == [20]
    assert all(name in own[0][1] for name in settings_named)
    assert any(line.startswith("from epoch 20 on: ") and words in line for line in symptoms(rows, experiment(), 10))


def test_what_has_passed_is_told_with_its_epochs() -> None:
    rows = [row | {"diversity": 0.1} if 12 <= row["epoch"] <= 15 else row for row in healthy()]
    found = symptoms(rows, experiment(), 10)
    assert [line.split(":")[0] for line in found] == ["epochs 12 to 15"]


def test_samples_of_the_first_epochs_may_lack_anything() -> None:
    rows = [row | {"recall": 0.0, "diversity": 0.01, "label_accuracy": 0.1} for row in healthy()[:9]]
    assert symptoms(rows, experiment(), 10) == []
    rows.append(rows[-1] | {"epoch": 10})
    assert len(told(rows)[-1]) == 3


def test_scattered_noise_of_the_first_epochs_is_no_recall_to_fall_from() -> None:
    rows = healthy()
    rows[0] = rows[0] | {"recall": 0.9, "frechet": 500.0}
    assert symptoms(rows, experiment(), 10) == []


def test_a_passing_lead_of_the_discriminators_is_no_win() -> None:
    rows = healthy()
    for n in (10, 11, 13, 14):
        rows[n] = rows[n] | {"real_right": 0.99, "fake_right": 0.99}
    assert symptoms(rows, experiment(), 10) == []


def test_a_setting_that_is_off_is_to_be_set_and_one_that_is_on_to_be_raised() -> None:
    rows = changed(18, real_right=0.99, fake_right=0.99)
    (off,) = symptoms(rows, experiment(r1=0), 10)
    (on,) = symptoms(rows, experiment(r1=2, translation=0.125), 10)
    assert "set train.gan.r1: 1, set train.gan.translation: 0.1" in off
    assert "raise train.gan.r1 (2), raise train.gan.translation (0.125)" in on


@pytest.mark.parametrize(("classes", "chance_is_bad"), [(2, False), (1, False), (10, True)])
def test_chance_depends_on_the_classes(classes: int, chance_is_bad: bool) -> None:
    rows = changed(1, label_accuracy={1: 1.0, 2: 0.75, 10: 0.15}[classes])
    assert bool(symptoms(rows, experiment(), classes)) == chance_is_bad


NUMBER = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 1))
NAMES = ("real_right", "fake_right", "frechet", "recall", "label_accuracy", "diversity")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(NAMES), NUMBER), min_size=1, max_size=12))
def test_whatever_was_measured_there_is_an_answer(rows: list[dict[str, Any]]) -> None:
    history = [{"epoch": n, **row} for n, row in enumerate(rows, 1)]
    found = symptoms(history, experiment(12), 5)
    assert all("\n" not in line and "nan" not in line for line in found)
    assert len(found) >= len(told(history, experiment(12), 5)[-1])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from((0.1, 1.0, 1.4, 1.6, 9.0)), st.floats(0, 1)), min_size=1, max_size=15))
def test_recall_is_compared_with_the_best_of_epochs_about_as_near(
    rows: list[tuple[float, float]],
) -> None:
    history = [{"epoch": n, "frechet": near, "recall": recall} for n, (near, recall) in enumerate(rows, 1)]
    (distance, now), young = rows[-1], 4  # of 12 epochs
    best = max(r for n, (d, r) in enumerate(rows, 1) if d <= distance * (1 if n < young else 1.5))
    found = [line for line in symptoms(history, experiment(12), 5) if "variety is being lost" in line]
    assert any(line.startswith(("from", f"epoch {len(rows)}:")) for line in found) == (best >= 0.2 and now < best / 2)


def test_twenty_thousand_epochs_are_looked_at_once_each() -> None:
    class Row(dict[str, Any]):
        looked = 0

        def get(self, *args: Any) -> Any:
            Row.looked += 1
            return super().get(*args)

    symptoms([Row(row | {"epoch": n}) for n, row in enumerate(healthy(20_000), 1)], experiment(20_000), 10)
    assert Row.looked < 10 * 20_000


def test_epochs_without_a_measurement_repeat_nothing() -> None:
    rows = changed(20, recall=0.1)
    rows[25] = rows[25] | dict.fromkeys(("recall", "frechet", "diversity", "label_accuracy"))
    assert told(rows)[25:] == [[]] * 5
