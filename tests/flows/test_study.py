"""A study trains the same recogniser with and without generated samples, and goes on after it was stopped."""

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
from recurra.study.record import Study
from recurra_flows.cli import main

Command = Callable[..., subprocess.CompletedProcess[str]]
STUDY = ("augment", "s.yaml", "--gan", "g.yaml", "--fractions", "0.1,0.2", "--seeds", "0,1")
TRAININGS = 2 * 2 * (2 + 2)


@pytest.fixture
def study(place: Path, recurra: Command, prefect_api: str) -> Callable[..., dict[str, Any]]:
    """Runs a study of two arms; what it printed."""
    (place / "s.yaml").write_text("backend: plain\ndata: {source: digits}\ntrain: {epochs: 4, batch_size: 64}\n")

    def run(*arguments: str) -> dict[str, Any]:
        done = recurra(*arguments, "--json", PREFECT_API_URL=prefect_api)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.timeout(900)  # some forty worker processes
def test_a_study_that_was_stopped_goes_on_to_its_answer(
    study: Callable[..., dict[str, Any]],
    started: Callable[..., subprocess.Popen[str]],
    recurra: Command,
    place: Path,
    prefect_api: str,
) -> None:
    home = Home(place / "home")
    first = started(*STUDY, PREFECT_API_URL=prefect_api)
    end = time.monotonic() + 200
    while len(list((home.store.root / "train").glob("*/manifest.json"))) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    first.terminate()
    err = first.communicate(timeout=60)[1]
    assert first.returncode == 130, err
    assert "the same command goes on with what it has made" in err
    before = len(next(Study.all(home)).record["stages"])

    done = study(*STUDY)
    assert done["stages"]["hit"] >= before
    assert [each.record["status"] for each in Study.all(home)] == ["stopped", "done"]
    check_table(done)

    again = recurra(*STUDY, PREFECT_API_URL=prefect_api)
    assert f"{TRAININGS} of {TRAININGS} trainings done, 0 left" in again.stderr
    assert "miss" not in again.stdout
    assert "0.2-seed-1-generated-train" in again.stdout
    listed = json.loads(recurra("runs", "ls", "--json").stdout)["runs"]
    assert [(each["model"], each["status"]) for each in listed] == [
        ("study", "stopped"),
        ("study", "done"),
        ("study", "done"),
    ]
    shown = recurra("runs", "show", listed[0]["id"])
    assert "error: stopped by the user or the system" in shown.stdout
    assert {path.name for path in Path(done["study"]).glob("*evaluate.log")} == {
        f"{fraction}-seed-{seed}-{arm}-evaluate.log"
        for fraction in ("0.1", "0.2") for seed in (0, 1) for arm in ("real", "generated")
    }  # fmt: skip
    assert " ".join(done["answer"].split()) in " ".join(again.stdout.split())


def check_table(done: dict[str, Any]) -> None:
    """A row for each training; with generated samples none takes more steps than without."""
    assert (done["fractions"], done["seeds"], done["arms"]) == ([0.1, 0.2], [0, 1], ["real", "generated"])
    assert {each["verdict"] for each in done["comparisons"]} <= {"helps", "harms", "none"}
    assert any("no classical augmentation" in line for line in done["warnings"])
    rows = {(row["fraction"], row["seed"], row["arm"]): row for row in pq.read_table(done["table"]).to_pylist()}
    assert len(rows) == 2 * 2 * 2
    for (fraction, seed, arm), row in rows.items():
        assert row["generated"] == (row["real"] if arm == "generated" else 0)
        assert row["steps"] <= rows[fraction, seed, "real"]["steps"]
    assert Path(done["report"]).read_text().startswith("<!")


def test_its_arms_are_what_runs_make_and_clearing_keeps_them(
    study: Callable[..., dict[str, Any]], recurra: Command, run_json: Callable[..., dict[str, Any]]
) -> None:
    # On all of the data: on a part, networks have other epochs than their files say.
    done = study("augment", "s.yaml", "--gan", "g.yaml", "--fractions", "1", "--seeds", "1")
    row = next(row for row in pq.read_table(done["table"]).to_pylist() if row["arm"] == "generated")
    kept = json.loads(recurra("cache", "gc", "--days", "0", "--dry-run", "--json").stdout)
    assert not [each for each in kept["removed"] if each["why"] == "no run refers to it"]

    epochs = f"train.epochs={row['epochs']}"
    made = run_json("s.yaml", "data.augment.gan=g.yaml", "seed=1", epochs)
    assert {each["cache"] for role, each in made["stages"].items() if role != "report"} == {"hit"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--fractions", "0.1,x"),
            "--fractions: expected numbers separated by commas, such as 0.1,0.5,1; found '0.1,x'",
        ),
        (("--fractions", "0"), "--fractions: a fraction of the training data lies above 0"),
        (("--fractions", "-0.5"), "--fractions: a fraction of the training data lies above 0"),
        (("--seeds", "0,0"), "--seeds: seed 0 is given twice"),
        (("--seeds", "0.5"), "--seeds: expected whole numbers"),
        (("--gan", "latest"), "data.augment.gan: 'latest' is a run"),
        (("--gan", "no.yaml"), "no.yaml: no such experiment file"),
        (("--gan", "e.yaml"), "data.augment.gan: e.yaml is no GAN"),
        ((), "data.augment.gan: a study needs a GAN; name its experiment file there or with --gan"),
        (("data.train_fraction=0.5", "--gan", "g.yaml"), "data.train_fraction: 0.5 is set"),
    ],
)
def test_what_cannot_be_studied_is_one_line_and_exit_status_2(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    if arguments and "--gan" not in arguments:
        arguments = (*arguments, "--gan", "g.yaml")
    assert main(["augment", "e.yaml", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {said}")
    assert len(err.splitlines()) == 1
    assert not (place / "home" / "runs").exists()


def test_a_gan_of_other_data_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "o.yaml").write_text("data: {source: moving-digits}\nmodel: {kind: gan}\n")
    assert main(["augment", "e.yaml", "--gan", "o.yaml"]) == 2
    assert "has data.source moving-digits, this experiment digits; they must be the same" in capsys.readouterr().err


def test_too_few_epochs_are_refused_before_anything_is_trained(recurra: Command, place: Path, prefect_api: str) -> None:
    done = recurra("augment", "e.yaml", "train.epochs=1", "--gan", "g.yaml", PREFECT_API_URL=prefect_api)
    assert done.returncode == 2
    assert "raise train.epochs or lower data.augment.generated" in done.stderr
    assert not (place / "home" / "store" / "train").exists()


def test_a_failing_network_is_named_with_the_file_of_its_settings(
    study: Callable[..., dict[str, Any]], recurra: Command, prefect_api: str
) -> None:
    asked = ("augment", "s.yaml", "--gan", "g.yaml", "--fractions", "0.1", "--seeds", "1")
    done = recurra(*asked, PREFECT_API_URL=prefect_api, PLAIN_LOSS="nan")
    assert done.returncode == 2
    assert (
        "error: 0.1-seed-1-recogniser (g.yaml, evaluate.gan.recogniser): the loss is not a finite number" in done.stderr
    )
    assert "once that is mended the same command goes on with what it has made" in done.stderr


@pytest.mark.torch
def test_it_runs_on_a_framework_with_all_four_arms(recurra: Command, place: Path, prefect_api: str) -> None:
    (place / "t.yaml").write_text(
        "backend: torch\ndata: {source: digits, augment: {shift: 1, gan: g.yaml}}\n"
        "model: {kind: cnn, cnn: {channels: [4]}}\ntrain: {epochs: 2}\n"
    )
    (place / "g.yaml").write_text((place / "g.yaml").read_text().replace("backend: plain", "backend: torch"))
    done = recurra(
        "augment", "t.yaml", "--fractions", "0.1", "--seeds", "0", "--json", PREFECT_API_URL=prefect_api,
        OMP_NUM_THREADS="1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["arms"] == ["real", "generated", "classical", "both"]
    assert {each["verdict"] for each in answer["comparisons"]} == {"unknown"}
