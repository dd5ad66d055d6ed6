"""A trial is measured epoch by epoch; one that was trained before is judged as if it ran now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recurra.checkpoint import Checkpoint, Position
from recurra.durable import write_json
from recurra.progress import Silent
from recurra.store import Artifact
from recurra.sweep.measuring import Measuring, PrunedError, interrupted_history
from recurra.sweep.plan import planned
from recurra.sweep.search import STARTUP, Search
from recurra.training.loop import write_history

EPOCHS = 4


def rows(*values: float) -> list[dict[str, Any]]:
    return [{"epoch": n + 1, "val_accuracy": value, "seconds": 1.5} for n, value in enumerate(values)]


def artifact(folder: Path, *values: float) -> Artifact:
    folder.mkdir()
    write_history(folder / "history.parquet", rows(*values))
    best = max(range(len(values)), key=lambda n: values[n]) + 1
    write_json(folder / "train.json", {"best_epoch": best, "epochs_done": len(values), "seconds": 6.0})
    return Artifact("train", "key", folder, {}, {}, "", "", 0.0)


@pytest.fixture
def search(tmp_path: Path) -> Search:
    """One in which enough trials of accuracy 0.8 are done for a worse one to be pruned."""
    (tmp_path / "e.yaml").write_text(f"data: {{source: digits}}\ntrain: {{epochs: {EPOCHS}}}\n")
    found = Search(planned(tmp_path / "e.yaml", ["train.learning_rate=1e-4..1e-2"], trials=20), tmp_path)
    for number in range(STARTUP):
        measuring(found).ended(artifact(tmp_path / str(number), 0.5, 0.6, 0.8, 0.7))
    return found


def measuring(search: Search) -> Measuring:
    trial = search.ask()
    assert trial is not None
    return Measuring(search, trial, search.plan.trial(trial.settings), Silent())


def test_a_trial_is_worth_its_best_epoch(search: Search) -> None:
    first = search.trials()[0]
    assert (first.state, first.value, first.best_epoch, first.epochs) == ("done", 0.8, 3, EPOCHS)
    assert [epoch for epoch, _ in first.curve] == [1, 2, 3, 4]


def test_what_falls_behind_is_pruned_while_it_trains(search: Search) -> None:
    running = measuring(search)
    running.measured(rows(0.1)[0], 0.1)
    with pytest.raises(PrunedError, match="pruned after epoch 2 of 4"):
        running.measured(rows(0.1, 0.2)[1], 0.2)
    assert running.facts() == {"epochs": 2, "seconds": 3.0}


def test_a_training_that_is_in_the_store_is_pruned_where_it_would_have_been(search: Search, tmp_path: Path) -> None:
    with pytest.raises(PrunedError, match="pruned after epoch 2 of 4"):
        measuring(search).ended(artifact(tmp_path / "known", 0.1, 0.2, 0.3, 0.9))


def test_the_last_epoch_is_never_pruned_and_an_epoch_counts_once(search: Search, tmp_path: Path) -> None:
    running = measuring(search)
    running.recall(rows(0.6, 0.7, 0.8))
    running.recall(rows(0.1, 0.1))
    assert running.ended(artifact(tmp_path / "late", 0.6, 0.7, 0.8, 0.0)).value == 0.8


def test_an_epoch_without_a_number_is_passed_over(search: Search) -> None:
    running = measuring(search)
    running.recall(
        [{**row, "val_accuracy": value} for row, value in zip(rows(0, 0), (None, float("nan")), strict=True)]
    )
    assert search.trials()[-1].curve == ()


def test_a_checkpoint_tells_the_epochs_behind_it(tmp_path: Path) -> None:
    assert interrupted_history(tmp_path) == []
    Checkpoint(Position(3, history=rows(0.1, 0.2)), {}, {}, {}).write(tmp_path / "checkpoint.safetensors")
    assert interrupted_history(tmp_path) == rows(0.1, 0.2)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"damaged")
    assert interrupted_history(tmp_path) == []
