"""The learning rate of each step."""

from __future__ import annotations

import numpy as np

from recurra.experiment import Train
from recurra.optimiser import learning_rates


def rates(**settings: object) -> np.ndarray:
    train = Train.model_validate({"epochs": 2, "learning_rate": 0.1, **settings})
    return learning_rates(train, np.arange(10), 5)


def test_a_constant_rate_is_constant() -> None:
    assert np.allclose(rates(), 0.1)


def test_a_linear_schedule_falls_evenly_to_zero() -> None:
    assert np.allclose(rates(schedule="linear"), 0.1 * (1 - np.arange(10) / 10))


def test_a_cosine_is_at_half_in_the_middle() -> None:
    assert np.allclose(rates(schedule="cosine")[[0, 5]], [0.1, 0.05])


def test_a_warm_up_rises_linearly_and_then_the_schedule_begins() -> None:
    assert np.allclose(rates(warmup_epochs=0.8), 0.1 * np.minimum(1, np.arange(1, 11) / 5))
    assert np.allclose(rates(warmup_epochs=0.8, schedule="linear")[4:6], [0.1, 0.1 * 5 / 6])


def test_the_rate_does_not_depend_on_how_steps_are_asked_for() -> None:
    train = Train(epochs=3, schedule="cosine", warmup_epochs=0.5)
    whole = learning_rates(train, np.arange(30), 10)
    parts = [learning_rates(train, np.arange(start, start + 3), 10) for start in range(0, 30, 3)]
    assert np.array_equal(whole, np.concatenate(parts))
