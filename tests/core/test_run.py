"""A run's record: where it is found, what is refused, and who holds it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recurra.errors import InputError
from recurra.experiment import Data, Experiment
from recurra.home import Home
from recurra.run import STAGES, Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(Home(tmp_path / "home"), Experiment(name="e", data=Data(source="digits")))


def finish(run: Run) -> None:
    """Gives the run an artifact for every stage."""
    for stage in STAGES:
        run.stage_done(run.home.store.obtain(stage, {"of": stage}, fill))
    run.finish("done")


def fill(folder: Path) -> None:
    (folder / "f").write_text("f")


@pytest.mark.parametrize("link", [False, True])
def test_a_run_named_by_its_folder_is_opened_in_the_home_that_it_lies_in(tmp_path: Path, run: Run, link: bool) -> None:
    folder = run.folder
    if link:
        folder = tmp_path / "best"
        folder.symlink_to(run.folder)
    assert Run.open(Home(tmp_path / "other"), str(folder)).home.path == run.home.path


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"schema": 2}, "schema"),
        ({"metrics": None}, "metrics"),
        ({"stages": {"train": {"key": "k"}}}, "stages.train"),
        ({"id": 3}, "id"),
        ([], "dictionary"),
        ("{", "cannot be read"),
    ],
)
def test_an_odd_record_is_refused_in_one_line_that_names_the_field(run: Run, change: Any, named: str) -> None:
    record = {**run.record, **change} if isinstance(change, dict) else change
    (run.folder / "run.json").write_text(record if isinstance(record, str) else json.dumps(record))
    with pytest.raises(InputError, match=rf"run\.json is not a run's record .*{named}") as refused:
        Run.open(run.home, "latest")
    assert "\n" not in str(refused.value)


def test_a_changed_experiment_is_refused_when_it_is_asked_for(run: Run) -> None:
    run.record["experiment"]["train"] = {"epochs": "many"}
    with pytest.raises(InputError, match=r"train\.epochs"):
        _ = run.experiment


def test_a_run_is_whole_while_every_byte_of_its_artifacts_is_there(run: Run) -> None:
    assert not run.whole()
    finish(run)
    assert run.whole()
    (run.artifact("train").path / "f").write_text("g")
    assert not run.whole()


def test_one_process_holds_a_run_and_the_kernel_frees_it(run: Run) -> None:
    code = (
        "import sys; from recurra.home import Home; from recurra.run import Run\n"
        f"with Run.open(Home.default(), {str(run.folder)!r}).held(): print('held', flush=True); sys.stdin.read()"
    )
    assert not run.running
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert run.running
        with pytest.raises(InputError, match=r"is still running \(pid \d+\)"), run.held():
            pass
        other.kill()
    assert not run.running
    with run.held(), run.held():
        assert run.running
