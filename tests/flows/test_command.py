"""The command line where no flow is run: answers, refusals, exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recurra_flows.cli import main

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_help_imports_neither_prefect_nor_a_framework_nor_pandas() -> None:
    code = (
        "import sys; from recurra_flows.cli import main; main(['--help']);"
        "print([m for m in ('prefect', 'torch', 'tensorflow', 'pandas', 'pyarrow', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("verb", ["run", "resume", "predict", "config", "data", "runs", "cache", "plugins", "doctor"])
def test_help_names_every_verb_and_each_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert f" {verb} " in capsys.readouterr().out
    assert main([verb, "--help"]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu"], "Did you mean"),
        (["run"], "FILE"),
        (["run", "e.yaml", "--jsn"], "--jsn"),
        (["run", "missing.yaml"], "no such experiment file"),
        (["run", "e.yaml", "train.epoch=3"], "Did you mean 'epochs'"),
        (["run", "e.yaml", "backend=torhc"], "Did you mean 'torch'"),
        (["config", "show", "e.yaml", "train.epochs=many"], "train.epochs"),
        (["runs", "show", "nothing"], "no run 'nothing'"),
        (["resume", "nothing"], "no run 'nothing'"),
        (["predict", "latest"], "name the files"),
        (["data", "inspect", "nowhere"], "nowhere"),
    ],
)
def test_a_wrong_request_is_one_clear_line_and_status_2(
    arguments: list[str], said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert len(captured.err.splitlines()) == 1
    assert said in captured.err
    assert not captured.out


def test_debug_is_taken_anywhere_and_shows_the_traceback(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--debug", "run", "missing.yaml"], ["run", "missing.yaml", "--debug"]):
        assert main(arguments) == 2
        assert "Traceback" in capsys.readouterr().err


def test_a_fault_of_ours_is_one_line_and_status_1(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr("recurra.config.load_experiment", broken)
    assert main(["config", "show", "e.yaml"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_config_show_reads_back_to_the_same(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "e.yaml", "train.epochs=7"]) == 0
    shown = capsys.readouterr().out
    (place / "shown.yaml").write_text(shown)
    assert main(["config", "show", "shown.yaml"]) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["config", "schema"],
        ["config", "show", "e.yaml", "--json"],
        ["runs", "ls", "--json"],
        ["cache", "ls", "--json"],
        ["cache", "verify", "--json"],
        ["cache", "gc", "--json"],
        ["cache", "explain", "e.yaml", "--json"],
        ["plugins", "--json"],
        ["data", "inspect", "digits", "--json"],
    ],
)
def test_json_is_one_object_on_standard_output(
    arguments: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)


def test_every_bundled_experiment_is_valid_and_names_no_folder_outside(place: Path) -> None:
    from recurra.config import load_experiment

    folder = Path(__file__).parents[2] / "flows" / "experiments"
    experiments = [load_experiment(path) for path in sorted(folder.glob("*.yaml"))]
    assert len(experiments) >= 7
    assert not [e.name for e in experiments if ".." in e.data.source or e.data.source.startswith("/")]
