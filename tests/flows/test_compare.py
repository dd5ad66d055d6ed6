"""A comparison runs networks on backends side by side, each run for itself, and goes on after it was stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from recurra import stages
from recurra.comparison.parity import GRADIENT_WITHIN, LOGITS_WITHIN, largest_part
from recurra.comparison.probing import FILE, LOGITS, read_probe
from recurra.comparison.record import Comparison
from recurra.config import load_experiment
from recurra.home import Home
from recurra.registry import entries
from recurra_flows.cli import main

pytestmark = pytest.mark.prefect
Command = Callable[..., subprocess.CompletedProcess[str]]
COMPARE = ("compare", "e.yaml", "--backends", "plain,other", "--models", "cnn", "--seeds", "0", "--jobs", "2")
PROBE = """
import sys
from pathlib import Path
from recurra import stages
from recurra.config import load_experiment
from recurra.home import Home

plain, own = (load_experiment(Path("f.yaml"), [f"backend={name}", "train.epochs=1"]) for name in ("plain", sys.argv[1]))
store = Home.default().store
dataset = stages.preprocess(plain, store).artifact
training = stages.train(plain, store, dataset)
assert training.hit
print(stages.probe(own, store, dataset, training.artifact).artifact.path)
"""
"""Answers with the weights that `plain` trained; prints where."""
FRAMEWORKS = [entry.name for entry in entries() if not entry.problem]
BREAKS = (
    '        if os.environ.get("OTHER_BREAKS") == self.spec.model.kind and len(batches.x) > 1:\n'
    '            raise RuntimeError("broken")\n'
)


@pytest.fixture
def two(place: Path, plain_path: Path, installed: Callable[[str, str, str], None]) -> Path:
    """The place, with a backend `other` beside `plain`. OTHER_BREAKS: the network that it cannot
    train, but probe."""
    code = (plain_path / "plain_backend.py").read_text().replace('= "plain", (1, 1)', '= "other", (1, 1)')
    begin = "    def train_steps(self, batches):\n"
    installed("other", code.replace(begin, begin + BREAKS, 1), "recurra.backends")
    return place


def test_a_run_that_fails_ends_alone_and_the_same_command_makes_what_is_missing(
    recurra: Command, two: Path, prefect_api: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = recurra(*COMPARE, PREFECT_API_URL=prefect_api, OTHER_BREAKS="cnn")
    assert done.returncode == 1, done.stderr
    assert "other-cnn-seed-0 failed, the others go on: train: RuntimeError: broken" in done.stderr
    assert "error: 1 failed, the others are done: other-cnn-seed-0: train: RuntimeError: broken" in done.stderr
    assert "the same command goes on with what it has made" in done.stderr
    assert "Traceback" not in done.stderr
    record = next(Comparison.all(Home(two / "home"))).record
    assert record["status"] == "failed"
    assert record["stages"].keys() == {
        "plain-cnn-seed-0-preprocess", "other-cnn-seed-0-preprocess", "plain-cnn-seed-0-train",
        "plain-cnn-seed-0-evaluate", "cnn-seed-0-probe-plain", "cnn-seed-0-probe-other",
    }  # fmt: skip

    mended = recurra(*COMPARE, PREFECT_API_URL=prefect_api)
    assert mended.returncode == 0, mended.stderr
    *_, made = Comparison.all(Home(two / "home"))
    missing = {role for role, of in made.record["stages"].items() if of["cache"] == "miss"}
    assert missing == {"other-cnn-seed-0-train", "other-cnn-seed-0-evaluate", "comparison"}
    check_shown(mended, made.record["answer"])
    check_made(made)
    check_known(made, capsys)


def check_shown(done: subprocess.CompletedProcess[str], answer: str) -> None:
    """The terminal shows what there is to know."""
    assert "2 of 2 trainings done, 0 left" in done.stderr
    assert "2 runs: cnn on plain and other, 1 seed" in done.stdout
    table = [line.split()[:2] for line in done.stdout.splitlines() if line.startswith("cnn ")]
    assert table == [["cnn", "plain"], ["cnn", "other"]]
    assert " ".join(answer.split()) in " ".join(done.stdout.split())


def check_made(comparison: Comparison) -> None:
    """Runs of one seed share a dataset, and each is what `run` makes of its experiment."""
    rows = pq.read_table(comparison.record["table"]).to_pylist()
    assert [(row["model"], row["backend"]) for row in rows] == [("cnn", "plain"), ("cnn", "other")]
    assert len({row["dataset"] for row in rows}) == 1
    assert Path(comparison.record["report"]).read_text().startswith("<!")
    experiment, store = load_experiment(Path("e.yaml"), ["model.kind=cnn"]), comparison.home.store
    dataset = stages.preprocess(experiment, store)
    training = stages.train(experiment, store, dataset.artifact)
    evaluation = stages.evaluate(experiment, store, dataset.artifact, training.artifact)
    assert [outcome.hit for outcome in (dataset, training, evaluation)] == [True, True, True]


def check_known(comparison: Comparison, capsys: pytest.CaptureFixture[str]) -> None:
    """Listing and clearing know what it made."""
    capsys.readouterr()
    assert main(["cache", "gc", "--days", "0", "--dry-run", "--json"]) == 0
    removed = json.loads(capsys.readouterr().out)["removed"]
    assert not [each for each in removed if each["why"] == "no run refers to it"]
    assert main(["runs", "ls", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["runs"]
    assert [(each["model"], each["backend"], each["status"]) for each in listed] == [
        ("comparison", "plain,other", "failed"), ("comparison", "plain,other", "done"),
    ]  # fmt: skip
    assert main(["runs", "show", comparison.id]) == 0
    shown = capsys.readouterr().out
    assert "comparison on plain,other, done" in shown
    assert "cnn-seed-0-probe-other" in shown


def _workers(pid: int) -> list[psutil.Process]:
    return [each for each in psutil.Process(pid).children() if "recurra_flows.worker" in each.cmdline()]


def _until(found: Callable[[], Any]) -> Any:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if answer := found():
            return answer
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_a_comparison_that_is_stopped_or_killed_leaves_no_worker_and_goes_on(
    recurra: Command, started: Callable[..., subprocess.Popen[str]], place: Path, prefect_api: str
) -> None:
    asked = ("compare", "e.yaml", "--backends", "plain", "--models", "cnn", "--seeds", "0,1", "--jobs", "2")
    asked += ("train.checkpoint_seconds=0", "--json")
    partial = Home(place / "home").store.root / "partial"
    for number, status in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
        process = started(*asked, PREFECT_API_URL=prefect_api, PLAIN_SLOW="30")
        workers = _until(lambda process=process: _both(process.pid, partial))
        os.kill(process.pid, number)
        err = process.communicate(timeout=120)[1]
        assert process.returncode == status
        assert ("the same command goes on" in err) == (number == signal.SIGINT)
        _until(lambda workers=workers: not any(map(_lives, workers)))

    done = recurra(*asked, PREFECT_API_URL=prefect_api)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["stages"] == {"hit": 2, "miss": 2 + 2 + 1}
    rows = pq.read_table(found["table"]).to_pylist()
    assert [(row["seed"], row["epochs"]) for row in rows] == [(0, 2), (1, 2)]
    assert len({row["dataset"] for row in rows}) == 2  # the digits' splits are drawn by the seed
    statuses = [each.record["status"] for each in Comparison.all(Home(place / "home"))]
    assert (statuses[0], statuses[-1]) == ("stopped", "done")
    assert not list(partial.glob("*/checkpoint.safetensors"))


def _both(pid: int, partial: Path) -> list[psutil.Process]:
    """The workers of both trainings, once each has something to go on with."""
    workers = _workers(pid)
    return workers if len(workers) == 2 and len(list(partial.glob("*/checkpoint.safetensors"))) == 2 else []


def _lives(worker: psutil.Process) -> bool:
    return worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--backends", "plain,plain"), "--backends: backend plain is given twice"),
        (("--backends", "plian"), "backend 'plian' is not installed"),
        (("--backends", "plain,"), "--backends: expected names separated by commas; found 'plain,'"),
        (("--models", "cnn,gan"), "--models: a GAN recognises nothing"),
        (("--models", "cmn"), "--models: 'cmn' is no recogniser; known: cnn, rnn, fusion. Did you mean 'cnn'?"),
        (("--seeds", "0,x"), "--seeds: expected whole numbers separated by commas, such as 0,1,2; found '0,x'"),
        (("--seeds", "-1"), "--seeds: a seed lies from 0 to"),
        (("--jobs", "0"), "--jobs: expected a number from 1, found 0"),
        (("data.augment.gan=g.yaml",), "data.augment.gan: a comparison trains on real samples alone"),
        (("train.batch_size=auto",), "train.batch_size: auto is found when a training begins"),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_exit_status_2(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    backends = () if "--backends" in arguments else ("--backends", "plain")
    assert main(["compare", "e.yaml", *arguments, *backends]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {said}")
    assert len(err.splitlines()) == 1
    assert not (place / "home" / "runs").exists()


def test_a_gans_file_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "g.yaml", "--backends", "plain"]) == 2
    assert "model.kind: a comparison is of recognisers" in capsys.readouterr().err


@pytest.mark.skipif(len(FRAMEWORKS) < 2, reason="needs two installed backends")
def test_frameworks_compute_the_same_with_the_same_weights(place: Path) -> None:
    (place / "f.yaml").write_text("data: {source: digits}\nmodel: {kind: cnn, cnn: {channels: [4]}}\n")
    experiment, store = load_experiment(Path("f.yaml"), ["backend=plain", "train.epochs=1"]), Home.default().store
    dataset = stages.preprocess(experiment, store).artifact
    stages.train(experiment, store, dataset)
    few = {**os.environ, "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
    probing = [
        subprocess.Popen([sys.executable, "-c", PROBE, backend], stdout=subprocess.PIPE, text=True, env=few)
        for backend in FRAMEWORKS[:2]
    ]
    folders = [Path(process.communicate(timeout=240)[0].splitlines()[-1]) for process in probing]
    theirs, ours = (read_probe(folder / FILE) for folder in folders)
    assert abs(ours[LOGITS] - theirs[LOGITS]).max() <= LOGITS_WITHIN * abs(theirs[LOGITS]).max()
    assert largest_part(ours, theirs)[1] <= GRADIENT_WITHIN
