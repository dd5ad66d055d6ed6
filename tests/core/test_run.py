"""A run's record: where it is found, what is refused, and who holds it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recurra.errors import InputError
from recurra.experiment import Augment, Data, Experiment, Model
from recurra.home import Home
from recurra.run import Run
from recurra.run_record import RECOGNISER, stages_of


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(Home(tmp_path / "home"), Experiment(name="e", data=Data(source="digits")))


def finish(run: Run) -> None:
    """Gives the run an artifact for every stage."""
    for stage in RECOGNISER:
        run.stage_done(run.home.store.obtain(stage, {"of": stage}, fill), stage)
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


def test_a_stage_is_known_by_its_role_and_its_artifact_lies_in_the_stores_stage(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    run = Run.create(home, Experiment(name="g", data=Data(source="digits"), model=Model(kind="gan")))
    student = home.store.obtain("train", {"of": "student"}, fill)
    run.stage_done(home.store.obtain("train", {"of": "gan"}, fill), "train")
    run.stage_done(student, "student")
    run.stage_done(home.store.obtain("train", {"of": "recogniser"}, fill), "recogniser")
    read = Run.open(home, "latest")
    assert list(read.done()) == ["recogniser", "train", "student"]
    assert read.place("student") == ("train", student.artifact.key)
    assert read.artifact("student").path == student.artifact.path
    assert read.artifact("train").key != student.artifact.key


def test_what_a_run_consists_of_follows_from_its_experiment(tmp_path: Path) -> None:
    gan = Experiment(name="g", data=Data(source="digits"), model=Model(kind="gan"))
    with_samples = Experiment(name="a", data=Data(source="digits", augment=Augment(gan="g.yaml")))
    assert stages_of(gan)[:3] == ("preprocess", "recogniser", "train")
    run = Run.create(Home(tmp_path / "home"), with_samples, gan=gan)
    assert run.roles == stages_of(with_samples)
    assert {"gan", "generate", "augment"} <= set(run.roles)
    assert Run.open(run.home, "latest").gan == gan


def test_a_record_of_before_there_were_roles_still_reads(run: Run) -> None:
    finish(run)
    for name in ("roles", "gan"):
        del run.record[name]
    for stage in run.record["stages"].values():
        del stage["stage"]
    run.save()
    old = Run.open(run.home, "latest")
    assert old.whole()
    assert (tuple(old.artifacts()), old.gan) == (RECOGNISER, None)
