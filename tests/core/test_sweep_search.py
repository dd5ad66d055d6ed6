"""A search chooses settings that are the same however often it is interrupted, and ends trials that fall behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recurra.errors import InputError, RecurraError
from recurra.sweep.plan import Plan, planned
from recurra.sweep.search import Search
from recurra.sweep.trial import Trial, best_of

SETTINGS = ("train.learning_rate=1e-4..1e-1", "model.rnn.units=16,32,64", "model.cnn.channels=[8],[8,16]")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "e.yaml"
    path.write_text("data: {source: digits}\ntrain: {epochs: 3}\n")
    return path


def worth(settings: dict[str, Any]) -> float:
    return round(settings["model.rnn.units"] / 100 - settings["train.learning_rate"], 6)


def searched(plan: Plan, folder: Path, stop: int | None = None) -> list[Trial]:
    """The trials of a search that is killed at its `stop`-th."""
    folder.mkdir(exist_ok=True)
    search, begun = Search(plan, folder), 0
    while True:
        left = search.unfinished()
        trial = left[0] if left else search.ask()
        if trial is None or begun == stop:
            return search.trials()
        begun += 1
        value = worth(trial.settings)
        for epoch in (1, 2, 3):
            if search.measured(trial.number, epoch, value, last=epoch == 3):
                search.pruned(trial.number, reason=f"pruned after epoch {epoch}", epochs=epoch)
                break
        else:
            search.done(trial.number, value, epochs=3, best_epoch=3, seconds=1.0, training="key")


def test_a_search_that_was_killed_ends_as_one_that_was_not(file: Path, tmp_path: Path) -> None:
    plan = planned(file, SETTINGS, trials=13)
    whole = searched(plan, tmp_path / "whole")
    for stop in (3, 6, None):
        parts = searched(plan, tmp_path / "parts", stop)
    assert parts == whole
    assert [trial.number for trial in whole] == list(range(13))
    assert {trial.state for trial in whole} == {"done", "pruned"}
    assert all(trial.epochs == 2 for trial in whole if trial.state == "pruned")


def test_more_trials_go_on_with_what_was_found(file: Path, tmp_path: Path) -> None:
    first = searched(planned(file, SETTINGS, trials=2, sampler="random"), tmp_path / "a")
    more = searched(planned(file, SETTINGS, trials=4, sampler="random"), tmp_path / "a")
    assert more[:2] == first
    assert len(more) == 4


def test_a_grid_is_every_combination_once(file: Path, tmp_path: Path) -> None:
    plan = planned(file, ["train.epochs=1..3", "model.cnn.channels=[8],[8,16]"], sampler="grid", prune=False)
    assert plan.trials == 6
    (tmp_path / "a").mkdir()
    search = Search(plan, tmp_path / "a")
    found = []
    while (trial := search.ask()) is not None:
        found.append(trial.settings)
        search.failed(trial.number, "no")
    assert sorted((each["train.epochs"], len(each["model.cnn.channels"])) for each in found) == [
        (1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2),
    ]  # fmt: skip


def test_the_best_is_the_highest_or_the_lowest_and_of_equal_ones_the_first(file: Path) -> None:
    trials = [Trial(n, {}, "done", value) for n, value in enumerate((0.5, 0.9, 0.9, 0.1, 0.1))]
    trials.append(Trial(5, {}, "pruned"))
    best = {
        monitor: best_of(planned(file, [f"train.monitor={monitor}", SETTINGS[0]]), trials)
        for monitor in ("val_accuracy", "val_loss")
    }
    assert {monitor: trial and trial.number for monitor, trial in best.items()} == {"val_accuracy": 1, "val_loss": 3}


def test_what_matters_is_found(file: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    search = Search(planned(file, SETTINGS, trials=20, sampler="random"), tmp_path / "a")
    assert search.importances() == {}
    while (trial := search.ask()) is not None:
        search.done(trial.number, worth(trial.settings))
    found = search.importances()
    assert next(iter(found)) == "model.rnn.units"
    assert sum(found.values()) == pytest.approx(1)


def test_a_sweep_has_its_name_from_its_plan_and_its_data(file: Path) -> None:
    plan = planned(file, SETTINGS)
    assert plan.identity({"data": 1}) == planned(file, SETTINGS, trials=99).identity({"data": 1})
    others = [planned(file, SETTINGS[:2]), planned(file, [*SETTINGS, "seed=1"]), planned(file, SETTINGS, prune=False)]
    names = {each.identity({"data": 1}) for each in (plan, *others)} | {plan.identity({"data": 2})}
    assert len(names) == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"trials": 0}, "--trials 0: expected 1 to"),
        ({"sampler": "grid"}, r"train\.learning_rate: a grid needs a range that can be counted; give it a step"),
        ({"settings": [*SETTINGS, "model.kind=gan"]}, "model.kind: a sweep is of a recogniser"),
        ({"settings": [*SETTINGS, "data.augment.gan=g.yaml"]}, "data.augment.gan: a sweep is of trainings on real"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(file: Path, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        planned(file, arguments.pop("settings", SETTINGS), **arguments)


def test_a_damaged_file_of_trials_is_named(file: Path, tmp_path: Path) -> None:
    (tmp_path / "optuna.db").write_bytes(b"not a database" * 100)
    with pytest.raises(RecurraError, match=r"optuna\.db: the sweep's trials cannot be read or written"):
        Search(planned(file, SETTINGS), tmp_path)
