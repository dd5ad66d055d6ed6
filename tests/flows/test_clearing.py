"""`recurra cache verify` and `gc`: what is damaged, what goes, and what stays however old it is."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from recurra.errors import RecurraError
from recurra.experiment import Data, Experiment
from recurra.home import Home
from recurra.run import Run
from recurra.store import Outcome
from recurra_flows import clearing
from recurra_flows.clearing import clear
from recurra_flows.cli import main

DAY = 86_400


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def _made(home: Home, stage: str, value: int) -> Outcome:
    return home.store.obtain(stage, {"settings": {"value": value}}, lambda folder: _fill(folder))


def _fill(folder: Path) -> None:
    (folder / "file").write_text("content")


def _names(gone: list[dict[str, object]]) -> set[str]:
    return {Path(str(row["what"])).name for row in gone}


def test_an_artifact_that_a_run_names_stays_and_another_goes(home: Home) -> None:
    kept, lost = _made(home, "train", 1), _made(home, "train", 2)
    run = Run.create(home, Experiment(name="e", data=Data(source="digits")))
    run.stage_done(kept, "student")
    assert _names(clear(home, 0, dry_run=True)) == {lost.artifact.key}
    assert lost.artifact.path.is_dir()
    assert _names(clear(home, 0)) == {lost.artifact.key}
    assert kept.artifact.path.is_dir()
    assert not lost.artifact.path.exists()


def test_what_is_younger_than_the_days_asked_for_stays(home: Home) -> None:
    _made(home, "train", 1)
    assert clear(home, 1) == []


def test_leftovers_go_but_not_those_of_a_running_process(home: Home) -> None:
    old = time.time() - 40 * DAY
    for path in (home.store.partial("train", "a" * 32), home.store.partial("train", "b" * 32)):
        path.mkdir(parents=True)
        os.utime(path, (old, old))
    with home.store.lock("train", "b" * 32):
        assert _names(clear(home, 30)) == {"train-" + "a" * 32}
    assert _names(clear(home, 30)) == {"train-" + "b" * 32}


def test_verify_finds_every_damaged_artifact_and_sets_it_aside(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECURRA_HOME", str(home.path))
    damaged = _made(home, "train", 1).artifact
    _made(home, "train", 2)
    (damaged.path / "file").write_text("CONTENT")
    assert main(["cache", "verify", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["checked"], [row["key"] for row in found["damaged"]]) == (2, [damaged.key])
    assert main(["cache", "verify"]) == 0
    assert "1 artifacts checked, 0 damaged" in capsys.readouterr().out


def test_a_damaged_artifact_that_was_set_aside_goes_with_its_reason(home: Home) -> None:
    artifact = _made(home, "train", 1).artifact
    (artifact.path / "file").write_text("other")
    assert home.store.find("train", artifact.key) is None
    assert len(clear(home, 0)) == 2
    assert not list((home.path / "store" / "damaged").iterdir())


def test_nothing_goes_while_a_runs_record_cannot_be_read(home: Home) -> None:
    made = _made(home, "train", 1)
    run = Run.create(home, Experiment(name="e", data=Data(source="digits")))
    run.stage_done(made, "train")
    (run.folder / "run.json").write_text("{")
    with pytest.raises(RecurraError, match=rf"{run.id}/run\.json"):
        clear(home, 0)
    assert made.artifact.path.is_dir()


def test_a_leftover_is_held_until_it_is_gone_and_one_that_vanished_is_passed_over(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("a" * 32, "b" * 32):
        home.store.partial("train", key).mkdir(parents=True)

    def removed(path: Path) -> None:
        with clearing._held(home, path.name) as free:
            assert not free
        home.store.partial("train", "b" * 32).rmdir()

    monkeypatch.setattr(clearing, "_remove", removed)
    assert _names(clear(home, -1)) == {"train-" + "a" * 32}
