"""A sweep finds the best settings, goes on after it was stopped, and leaves a file whose training is done."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from recurra.home import Home
from recurra.sweep.record import Sweep
from recurra_flows.cli import main

Command = Callable[..., subprocess.CompletedProcess[str]]
SWEEP = ("sweep", "e.yaml", "train.learning_rate=1e-4..1e-1", "train.batch_size=64,128", "model.cnn.kernel=2,3")


@pytest.fixture
def sweep(place: Path, recurra: Command, prefect_api: str) -> Callable[..., dict[str, Any]]:
    """Runs a sweep; what it printed."""

    def run(*arguments: str, **env: str) -> dict[str, Any]:
        done = recurra(*arguments, "--json", PREFECT_API_URL=prefect_api, **env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.timeout(600)  # some twenty worker processes
def test_a_sweep_that_was_stopped_goes_on_and_ends_with_a_file_that_runs(
    sweep: Callable[..., dict[str, Any]],
    started: Callable[..., subprocess.Popen[str]],
    run_json: Callable[..., dict[str, Any]],
    recurra: Command,
    place: Path,
    prefect_api: str,
) -> None:
    home = Home(place / "home")
    first = started(*SWEEP, "--trials", "8", "--jobs", "2", PREFECT_API_URL=prefect_api, PLAIN_SLOW="0.2")
    end = time.monotonic() + 200
    while not list((home.store.root / "train").glob("*/manifest.json")) and time.monotonic() < end:
        time.sleep(0.05)
    first.terminate()
    err = first.communicate(timeout=60)[1]
    assert first.returncode == 130, err
    assert "the same command goes on with it" in err
    (stopped,) = Sweep.all(home)
    assert stopped.record["status"] == "stopped"

    done = sweep(*SWEEP, "--trials", "8", "--jobs", "2")
    assert Path(done["sweep"]) == stopped.folder
    rows = pq.read_table(done["table"]).to_pylist()
    assert [row["number"] for row in rows] == list(range(8))
    for row in rows:
        # An even kernel needs padding: valid; that ends the trial, and not the sweep.
        assert (row["state"] == "failed") == (row["model.cnn.kernel"] == 2)
        assert ("an even kernel" in row["reason"]) == (row["model.cnn.kernel"] == 2)
    assert done["best"]["settings"]["model.cnn.kernel"] == 3
    assert Path(done["report"]).read_text().startswith("<!")

    made = run_json(done["best"]["file"])
    assert made["stages"]["train"]["cache"] == "hit"
    assert made["stages"]["evaluate"]["cache"] == "hit"
    kept = json.loads(recurra("cache", "gc", "--days", "0", "--dry-run", "--json").stdout)
    assert not [each for each in kept["removed"] if each["why"] == "no run refers to it"]

    again = recurra(*SWEEP, "--trials", "8", PREFECT_API_URL=prefect_api)
    assert again.returncode == 0, again.stderr
    assert "miss" not in again.stdout


@pytest.mark.timeout(600)
def test_one_after_the_other_the_same_command_chooses_the_same(
    sweep: Callable[..., dict[str, Any]], place: Path
) -> None:
    asked = (*SWEEP[:4], "--trials", "4", "--jobs", "1", "--sampler", "random")
    settings = []
    for home in ("home", "other"):
        done = sweep(*asked, RECURRA_HOME=str(place / home))
        settings.append([row["train.learning_rate"] for row in pq.read_table(done["table"]).to_pylist()])
    assert settings[0] == settings[1]
    assert len(set(settings[0])) == 4


def test_where_no_trial_is_done_the_sweep_fails_with_the_reason(
    recurra: Command, place: Path, prefect_api: str
) -> None:
    done = recurra(*SWEEP[:3], "--trials", "2", PREFECT_API_URL=prefect_api, PLAIN_LOSS="nan")
    assert done.returncode == 1
    assert "none of 2 trials was done, so none is the best; the first failed: the loss is not a finite" in done.stderr
    assert [each.record["status"] for each in Sweep.all(Home(place / "home"))] == ["failed"]


def test_without_a_validation_split_nothing_is_trained(recurra: Command, place: Path, prefect_api: str) -> None:
    done = recurra(*SWEEP, "data.validation_fraction=0", PREFECT_API_URL=prefect_api)
    assert done.returncode == 2
    assert "data.validation_fraction: nothing is held out" in done.stderr
    assert not (place / "home" / "store" / "train").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("train.lerning_rate=1e-4..1e-2",),
            "e.yaml: train.lerning_rate: unknown field. Did you mean 'learning_rate'?",
        ),
        (("train.learning_rate=1e-4..x",), "train.learning_rate: '1e-4..x' is no range"),
        (("train.epochs=3",), "a sweep needs a field that varies"),
        (("train.epochs=2..3", "--trials", "0"), "--trials 0: expected 1 to 100,000"),
        (("train.epochs=2..3", "--jobs", "0"), "--jobs 0: expected 1 or more"),
        (("train.dropout=0..0.5", "--sampler", "grid"), "train.dropout: a grid needs a range that can be counted"),
    ],
)
def test_what_cannot_be_swept_is_one_line_and_exit_status_2(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert main(["sweep", "e.yaml", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {said}")
    assert len(err.splitlines()) == 1
    assert not (place / "home" / "sweeps").exists()
