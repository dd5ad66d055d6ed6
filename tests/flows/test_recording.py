"""A run's record says how the run ended, wherever it failed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recurra.errors import InputError, RecurraError
from recurra.experiment import Data, Experiment
from recurra.home import Home
from recurra.run import Run
from recurra.run_record import RECOGNISER
from recurra_flows.cli import main
from recurra_flows.recording import Recorder, ended, recorded
from recurra_flows.references import ArtifactRef
from recurra_flows.workers import WorkerLostError

Said = pytest.CaptureFixture[str]


@pytest.fixture
def run(place: Path) -> Run:
    return Run.create(Home.default(), Experiment(name="e", backend="plain", data=Data(source="digits")))


def _finish(run: Run) -> None:
    for stage in RECOGNISER:
        run.stage_done(run.home.store.obtain(stage, {"of": stage}, lambda folder: _fill(folder)), stage)
    run.finish("done", report="r")


def _fill(folder: Path) -> None:
    (folder / "file").write_text("content")


def _said(run: Run) -> tuple[str, str]:
    record = json.loads((run.folder / "run.json").read_text())
    return record["status"], record["error"]


@pytest.mark.parametrize(("error", "status"), [(OSError("no disk"), "failed"), (KeyboardInterrupt(), "stopped")])
def test_a_failure_outside_the_stages_is_recorded(run: Run, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), ended(run):
        raise error
    assert _said(run)[0] == status


def test_a_failure_inside_the_stages_keeps_its_own_words(run: Run) -> None:
    with pytest.raises(ValueError), ended(run), recorded(run):
        raise ValueError("the cause")
    assert _said(run) == ("failed", "the cause")


def test_a_run_whose_results_cannot_be_read_did_not_end_well(run: Run) -> None:
    with pytest.raises(KeyError), recorded(run):
        pass  # no stage was done
    assert _said(run)[0] == "failed"


def test_a_run_that_is_still_running_is_not_resumed_and_is_listed_as_running(run: Run, capsys: Said) -> None:
    code = (
        "import sys; from recurra.home import Home; from recurra.run import Run\n"
        "with Run.open(Home.default(), 'latest').held(): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert main(["resume", "latest"]) == 2
        assert f"run {run.id} is still running (pid" in capsys.readouterr().err
        main(["runs", "show", "latest", "--json"])
        assert json.loads(capsys.readouterr().out)["status"] == "running"
        other.kill()
    main(["runs", "show", "latest", "--json"])
    assert json.loads(capsys.readouterr().out)["status"] == "killed"  # though its pid, this process's, is alive


def test_a_finished_run_whose_artifact_is_damaged_is_gone_on_with(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    resumed = []
    monkeypatch.setattr("recurra_flows.running.execute", lambda *of: resumed.append(of[3]) or _refuse())
    _finish(run)
    assert main(["resume", "latest"]) == 0
    assert "already finished" in capsys.readouterr().out
    (run.artifact("train").path / "file").write_text("other")
    assert main(["predict", "latest", "x.png"]) == 2
    assert f"recurra resume {run.id}" in capsys.readouterr().err
    assert main(["resume", "latest"]) == 2
    assert [of.id for of in resumed] == [run.id]


def _refuse() -> None:
    raise InputError("enough")


def test_one_odd_record_is_listed_as_unreadable_beside_the_others(run: Run, capsys: Said) -> None:
    odd = run.folder.with_name("odd")
    odd.mkdir()
    (odd / "run.json").write_text(json.dumps({"id": "odd", "stages": {}, "experiment": {}, "status": "done"}))
    assert main(["runs", "ls", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["runs"]
    assert {row["id"]: row["status"] for row in rows} == {run.id: "killed", "odd": "unreadable"}
    assert main(["runs", "ls"]) == 0


def test_predict_asks_the_backend_that_is_named_and_needs_no_folder_to_write_to(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    _finish(run)
    asked: list[dict[str, Any]] = []

    def answer(body: str, request: dict[str, Any], progress: object, log: Path) -> dict[str, Any]:
        asked.append(request)
        log.write_text("chatter")
        return {"predicted": 0, "first": [], "refused": []}

    before = sorted(run.folder.iterdir())
    monkeypatch.setattr("recurra_flows.answering.run_worker", answer)
    monkeypatch.setattr("recurra_flows.answering.backend_entry", lambda name: None)
    assert main(["predict", "latest", "x.png"]) == 0
    assert main(["predict", "latest", "x.png", "--backend", "second"]) == 0
    assert [request["experiment"]["backend"] for request in asked] == ["plain", "second"]
    assert sorted(run.folder.iterdir()) == before
    monkeypatch.undo()


def test_predict_on_a_backend_that_is_not_installed_is_refused(run: Run, capsys: Said) -> None:
    assert main(["predict", "latest", "x.png", "--backend", "plian"]) == 2
    assert "Did you mean 'plain'" in capsys.readouterr().err


@pytest.mark.parametrize("lost", [True, False])
def test_what_a_workers_death_printed_is_kept_and_what_an_error_printed_is_not(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: Said, lost: bool
) -> None:
    _finish(run)
    logs: list[Path] = []

    def fail(body: str, request: object, progress: object, log: Path) -> None:
        logs.append(log)
        raise WorkerLostError(f"killed; what it printed: {log}") if lost else RecurraError("no")

    monkeypatch.setattr("recurra_flows.answering.run_worker", fail)
    assert main(["predict", "latest", "x.png"]) == 1
    assert logs[0].exists() == lost
    logs[0].unlink(missing_ok=True)


def test_what_another_role_of_the_run_made_is_a_hit(run: Run) -> None:
    made = run.home.store.obtain("train", {"of": "both"}, _fill)
    ref = ArtifactRef.of(run.home.store.root, made)
    record = Recorder(run)
    assert not record("recogniser", ref).hit
    assert record("student", ref).hit
    assert [run.record["stages"][role]["cache"] for role in ("recogniser", "student")] == ["miss", "hit"]
