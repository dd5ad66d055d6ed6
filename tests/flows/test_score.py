"""`recurra score`: new files once, in a worker, as a command, on a clock of its own and as a flow."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from tests.core.scoring_place import CLASSES, ORIGIN, Place, answer, check_whole, filled, put

from recurra import stages
from recurra.config import load_experiment
from recurra.errors import RecurraError
from recurra.home import Home
from recurra.progress import Progress, Silent
from recurra.run import Run
from recurra.scoring.batch import Batch, Origin, batches
from recurra.scoring.one_pass import OnePass
from recurra.scoring.scores import Scores
from recurra.scoring.settings import Scoring
from recurra.scoring.tally import Tally
from recurra_flows.scoring import work
from recurra_flows.scoring.scorer import name_of
from recurra_flows.scoring.work import Work
from recurra_flows.workers import WorkerLostError, lost

Command = Callable[..., subprocess.CompletedProcess[str]]
Started = Callable[..., subprocess.Popen[str]]
AT_ONCE = ("--settle", "0s")


def digits(folder: Path, count: int, first: int = 0) -> Path:
    """Handwritten digits as PNG files of 8x8."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(load_digits().images[first : first + count], first):
        Image.fromarray((image * 15.9).astype(np.uint8)).save(folder / f"{number:04}.png")
    return folder


@pytest.fixture
def network(place: Path) -> Run:
    """A run whose network is trained, made without a server."""
    home, experiment = Home.default().made(), load_experiment(Path("e.yaml"), ())
    run = Run.create(home, experiment)
    dataset = stages.preprocess(experiment, home.store, Silent())
    training = stages.train(experiment, home.store, dataset.artifact, Silent())
    run.stage_done(dataset, "preprocess")
    run.stage_done(training, "train")
    return run


@pytest.fixture
def inbox(place: Path) -> Path:
    return digits(place / "inbox", 12)


def scored(recurra: Command, *arguments: str, **env: str) -> dict[str, Any]:
    done = recurra("score", *arguments, "--json", **env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_new_files_get_the_answers_that_predict_gives_and_then_nothing_is_started(
    recurra: Command, network: Run, inbox: Path
) -> None:
    (inbox / "bad.png").write_bytes(b"no image")
    done = scored(recurra, "latest", "inbox", *AT_ONCE, "--batch", "5")
    assert (done["name"], done["scored"], done["refused"], done["run"]) == ("e", 12, 1, network.id)
    table = pd.read_parquet(Path(done["folder"], "predictions")).set_index("file").sort_index()
    assert recurra("predict", "latest", "inbox", "--out", "p.parquet").returncode == 0
    expected = pd.read_parquet("p.parquet").set_index("source").sort_index()
    assert [f"inbox/{name}" for name in table.index] == expected.index.tolist()
    np.testing.assert_array_equal(table["predicted"], expected["predicted"])
    np.testing.assert_array_equal(np.stack(table["probabilities"]), np.stack(expected["probabilities"]))
    # A worker would fail.
    again = recurra("score", "latest", "inbox", PLAIN_DEVICES="full disk")
    assert (again.returncode, again.stdout.split("  ")[1]) == (0, "0 scored, 0 refused, 0 waiting")
    digits(inbox / "more", 2, first=12)
    failed = recurra("score", "latest", "inbox", *AT_ONCE, PLAIN_DEVICES="full disk")
    assert (failed.returncode, "No space left on device" in failed.stderr) == (1, True)
    assert scored(recurra, "latest", "inbox", *AT_ONCE)["scored"] == 2


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["nothing", "inbox"], "no run 'nothing'"),
        (["champion:nobody", "inbox"], "nobody"),
        (["latest", "missing"], "missing: no folder; name the one that new files come into"),
        (["latest", "home/scores"], "no folder"),
        (["latest", "."], "where scores are kept"),
        (["latest", "inbox", "--name", "a/b"], "name"),
        (["latest", "inbox", "--settle", "soon"], "--settle soon: expected a time such as 30s"),
        (["latest", "inbox", "--every", "0s"], "--every 0s: expected a second or more"),
        (["latest", "inbox", "--backend", "none"], "backend 'none'"),
        (["latest", "inbox", "--batch", "0"], "batch"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    network: Run, inbox: Path, arguments: list[str], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from recurra_flows.cli import main

    assert main(["score", *arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert fault in line
    assert not list(Path("home/scores").glob("*/score.json"))


def test_a_second_one_is_refused_while_the_first_goes_on_and_ctrl_c_ends_it(
    recurra: Command, started: Started, network: Run, inbox: Path
) -> None:
    process = started("score", "latest", "inbox", *AT_ONCE, "--every", "1s", "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["scored"] == 12
    second = recurra("score", "latest", "inbox")
    assert (second.returncode, second.stderr.count("\n")) == (2, 1)
    assert f"scores 'e' are being written by another process (pid {process.pid})" in second.stderr
    digits(inbox / "more", 3, first=12)
    found = 0
    while found < 3:
        found += json.loads(process.stdout.readline())["scored"]
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(pd.read_parquet("home/scores/e/predictions")) == 15


def test_each_file_is_scored_once_however_often_parent_and_worker_are_killed(network: Run, place: Path) -> None:
    script = Path(__file__).with_name("stress_score.py")
    images = digits(place / "images", 48)
    done = subprocess.run(
        [sys.executable, str(script), "latest", str(images), "48", "3", "2"],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    assert "each exactly once: {'predictions': 48, 'ledger': 50, 'refused': 2" in done.stdout


def worker(body: str, request: Mapping[str, Any], progress: Progress, log: Path | None) -> int:
    """As `run_worker`, here and without a network."""
    number = request["first"]
    try:
        for pending in batches(Path(request["todo"]), *request["rows"], request["batch"]):
            batch = Batch(pending, request["inbox"])
            progress.begin("score", len(pending), "files")
            answer(batch)
            batch.write(Path(request["folder"]), number, ORIGIN)
            progress.end()
            number += 1
    finally:
        progress.end()
    return number - request["first"]


class WorkedPlace(Place):
    """Its files go through `Work`, as those of every pass do."""

    def work(self, one: OnePass, todo: pa.Table, meanwhile: Callable[[], Any], classes: tuple[str, ...]) -> None:
        request = {"inbox": str(self.inbox), "run": ORIGIN.run}
        Work(one, todo, request, Silent(), debug=True).through()


@pytest.mark.parametrize("loses", [False, True], ids=["killed", "power-cut"])
def test_cut_at_any_file_operation_the_work_of_a_pass_is_made_good_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loses: bool
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(work, "run_worker", worker)
    for cuts in count():
        place = filled(tmp_path / str(cuts), WorkedPlace)
        over = not place.cut(cuts, random.Random(cuts) if loses else None)
        assert max(place.predictions().values()) == 1
        place.score()
        check_whole(place)
        if over:
            break
    assert cuts > 40


def test_work_that_outlives_its_pass_commits_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, whole, over = WorkedPlace(tmp_path), Event(), Event()
    put(place.inbox / "a.png", b"good", 1)
    put(place.inbox / "b.png", b"bad", 2)

    class Late(Silent):
        def end(self) -> None:  # the part is whole; the pass ends before it is committed
            whole.set()
            assert over.wait(60)

    def late(body: str, request: Mapping[str, Any], progress: Progress, log: Path | None) -> int:
        worker(body, request, Late(), log)
        progress.end()
        return 1

    monkeypatch.setattr(work, "run_worker", late)
    with ThreadPoolExecutor() as threads:
        with place.scores.held():
            one = OnePass(place.scores, place.inbox, "image", Scoring(settle=0), Tally("n", "r", "plain", ""))
            done = threads.submit(place.work, one, one.begin(), print, CLASSES)
            assert whole.wait(60)
        over.set()
        with pytest.raises(RecurraError, match="not held any more"):
            done.result(60)
    assert not list(place.scores.predictions.rglob("*.parquet"))
    assert (place.inbox / "b.png").exists()
    monkeypatch.setattr(work, "run_worker", worker)
    assert place.score().scored == 1


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Workers that die of files that begin with `poison`, or of every one whose number is in the list."""
    of: list[int] = []
    runs = 0

    def run_worker(body: str, request: Mapping[str, Any], progress: Progress, log: Path | None) -> int:
        nonlocal runs
        runs += 1
        number = request["first"]
        for pending in batches(Path(request["todo"]), *request["rows"], request["batch"]):
            batch = Batch(pending, request["inbox"])
            progress.begin("score", len(pending), "files")
            names = [Path(request["inbox"], str(entry)).read_bytes() for entry in batch.entries]
            if runs in of or any(content.startswith(b"poison") for content in names):
                progress.end()
                raise lost(body, -signal.SIGSEGV)
            batch.answered(np.arange(len(pending)), np.zeros((len(pending), 2), np.float32), [])
            batch.write(Path(request["folder"]), number, Origin("r", "plain", ("a", "b")))
            progress.end()
            number += 1
        return 0

    monkeypatch.setattr(work, "run_worker", run_worker)
    return of


def worked(place: Path, batch: int) -> Tally:
    """A pass over `box`."""
    scores, tally = Scores(Home(place / "home"), "n"), Tally("n", "r", "plain", "")
    one = OnePass(scores, place / "box", "image", Scoring(settle=0, batch=batch), tally)
    with scores.held():
        todo: pa.Table = one.begin()
        Work(one, todo, {"inbox": str(place / "box"), "run": "r"}, Silent()).through()
        one.end()
    return tally


def box(place: Path, poison: set[int]) -> None:
    (place / "box").mkdir()
    for number in range(30):
        (place / f"box/{number:02}.png").write_bytes(b"poison" if number in poison else b"good")


@pytest.mark.parametrize("batch", [1, 7, 4096])
def test_files_that_a_worker_dies_of_are_found_and_the_others_are_scored(
    tmp_path: Path, dying: list[int], batch: int
) -> None:
    box(tmp_path, {0, 17, 29})
    tally = worked(tmp_path, batch)
    assert (tally.scored, tally.refused, tally.waiting) == (27, 3, 0)
    assert {each["file"] for each in tally.reasons} == {"00.png", "17.png", "29.png"}
    assert "the process that read it died each time (score: the worker process was ended by SIGSEGV" in str(
        tally.reasons
    )
    assert len(pd.read_parquet(tmp_path / "home/scores/n/predictions")) == 27


def test_a_worker_that_is_killed_once_costs_no_file(tmp_path: Path, dying: list[int]) -> None:
    box(tmp_path, set())
    dying += [1, 3]
    tally = worked(tmp_path, 1)
    assert (tally.scored, tally.refused) == (30, 0)


def test_where_workers_die_of_everything_no_file_is_blamed(tmp_path: Path, dying: list[int]) -> None:
    box(tmp_path, set(range(30)))
    with pytest.raises(WorkerLostError, match="SIGSEGV"):
        worked(tmp_path, 16)
    assert len(list((tmp_path / "box").iterdir())) == 30


@pytest.mark.prefect
def test_the_flow_scores_says_what_it_did_and_tells_an_event(
    recurra: Command, network: Run, inbox: Path, prefect_api: str
) -> None:
    (inbox / "bad|`.png").write_bytes(b"no image")
    code = (
        "from pathlib import Path\nfrom recurra.scoring.settings import Scoring\n"
        "from recurra_flows.scoring.flow import score\n"
        "print(score('latest', Path('inbox'), Path('home').absolute(), Scoring(settle=0, name='flowing')))"
    )
    env = {**os.environ, "PREFECT_API_URL": prefect_api}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=240)
    assert "'scored': 12, 'refused': 1" in done.stdout, done.stderr
    [artifact] = asked(prefect_api, "artifacts/filter", {"artifacts": {"key": {"any_": ["flowing-score"]}}})
    assert "**12 scored**, 1 refused, 0 waiting" in artifact["data"]
    assert "| bad\\|'.png | not a PNG" in artifact["data"]
    assert payload_of(prefect_api, "recurra.score", "flowing")["scored"] == 12


SLOW = """
import time
from plain_backend import Plain, PlainBackend, hookimpl


class Slow(Plain):
    def logits(self, x):
        time.sleep(2)
        return super().logits(x)


class SlowBackend(PlainBackend):
    name = "slow"

    def build(self, spec, device, seed):
        return Slow(spec)


@hookimpl
def recurra_backend():
    return SlowBackend()
"""


@pytest.mark.prefect
def test_a_flow_that_times_out_commits_nothing_more_and_the_next_pass_does_the_rest(
    recurra: Command, installed: Callable[[str, str, str], None], network: Run, place: Path, prefect_api: str
) -> None:
    digits(place / "inbox", 60)
    installed("slow", SLOW, "recurra.backends")
    code = (
        "from pathlib import Path\nfrom recurra.scoring.settings import Scoring\n"
        "from recurra_flows.deployed import Limits, score\n"
        "settings = Scoring(settle=0, name='slowly', backend='slow', batch=1)\n"
        "score('latest', Path('inbox'), settings, Limits(timeout_minutes=0.4))"
    )
    env = {**os.environ, "PREFECT_API_URL": prefect_api}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=240)
    assert "the run took longer than 24 s" in done.stderr
    assert "took longer" in payload_of(prefect_api, "recurra.failure", "slowly")["error"]
    first = sorted(Path("home/scores/slowly/predictions").rglob("*.parquet"))
    last = scored(recurra, "latest", "inbox", *AT_ONCE, "--name", "slowly")
    assert (last["scored"], last["notes"]) == (60 - len(first), [])
    assert sorted(pd.read_parquet("home/scores/slowly/predictions")["file"]) == [f"{n:04}.png" for n in range(60)]


def test_scores_and_their_failures_are_told_of_by_one_name(network: Run) -> None:
    home = network.home
    assert name_of(home, "latest", Scoring()) == name_of(home, network.id, Scoring()) == "e"
    assert name_of(home, "champion:clothes", Scoring()) == "clothes"
    assert name_of(home, "champion:clothes", Scoring(name="mine")) == "mine"
    assert name_of(home, "nothing", Scoring()) == "nothing"


def payload_of(api: str, event: str, name: str) -> dict[str, Any]:
    """Of the event; it comes with a delay."""
    wanted = {"filter": {"event": {"name": [event]}, "resource": {"id": [f"recurra.champion.{name}"]}}}
    for _ in range(200):
        if events := asked(api, "events/filter", wanted)["events"]:
            return events[0]["payload"]
        time.sleep(0.1)
    raise AssertionError("no event")


def asked(api: str, what: str, body: dict[str, Any]) -> Any:
    import httpx

    answer = httpx.post(f"{api}/{what}", json=body, trust_env=False)
    answer.raise_for_status()
    return answer.json()
