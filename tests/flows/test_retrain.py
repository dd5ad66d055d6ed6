"""Retraining: on changed data alone, promoted when better alone, told once, and the same after a kill."""

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

import httpx
import numpy as np
import pytest
from sklearn.datasets import load_digits

from recurra.champion.record import read
from recurra.champion.rollback import roll_back
from recurra.champion.rules import Rules
from recurra.config import load_experiment
from recurra.errors import InputError
from recurra.home import Home
from recurra.run import Run

pytestmark = pytest.mark.prefect
Command = Callable[..., subprocess.CompletedProcess[str]]


def digits(count: int, inverted_from: int = 2000) -> None:
    """The first so many digits as d.npz, negatives from a row on."""
    bunch: Any = load_digits()
    pixels = (bunch.images * (255 / 16)).astype(np.uint8)
    pixels[inverted_from:] = 255 - pixels[inverted_from:]
    np.savez("d.npz", x=pixels[:count], y=bunch.target[:count])


@pytest.fixture
def home(place: Path) -> Home:
    """The home of the experiment r.yaml, which trains on d.npz."""
    digits(1000)
    (place / "r.yaml").write_text(
        "backend: plain\ndata: {source: d.npz}\ntrain: {epochs: 1}\nevaluate: {bootstrap: 10}\n"
    )
    (place / "home" / "prefect").mkdir(parents=True)
    return Home(place / "home")


def retrained(home: Home, name: str = "r", **rules: Any) -> Run:
    """The run of one retraining, in this process."""
    from recurra_flows.retrain import retrain

    experiment = load_experiment(Path("r.yaml"), [f"name={name}"])
    flow = retrain.with_options(result_storage=home.path / "prefect")
    return Run.open(home, flow(experiment, home.path, Rules(**rules)))


def told(api: str, event: str, name: str, count: int) -> list[dict[str, Any]]:
    """The payloads of a champion's events of a kind, waited for until there are so many, and a second for more."""
    wanted = {"event": {"name": [event]}, "resource": {"id": [f"recurra.champion.{name}"]}}
    found: list[dict[str, Any]] = []
    for _ in range(100):
        answer = httpx.post(f"{api}/events/filter", json={"filter": wanted}).json()
        found = [each["payload"] for each in answer["events"]]
        if len(found) >= count:
            time.sleep(1)
            answer = httpx.post(f"{api}/events/filter", json={"filter": wanted}).json()
            return [each["payload"] for each in answer["events"]]
        time.sleep(0.2)
    return found


def cache(run: Run) -> dict[str, str]:
    return {role: stage["cache"] for role, stage in run.done().items()}


def test_the_first_network_is_promoted_and_without_change_nothing_is_done_again(home: Home, prefect_api: str) -> None:
    first = retrained(home, "same")
    assert set(cache(first).values()) == {"miss"}
    assert "new champion same: there was no champion yet" in (first.folder / "retrain.md").read_text()
    [promotion] = told(prefect_api, "recurra.promotion", "same", 1)
    assert (promotion["run"], promotion["before"]) == (first.id, None)

    second = retrained(home, "same")
    assert set(cache(second).values()) == {"hit"}
    assert "nothing has changed, so nothing was trained" in (second.folder / "retrain.md").read_text()
    record = read(home, "same")
    assert record.current is not None
    assert (record.current.run, len(record.history)) == (first.id, 1)
    assert len(told(prefect_api, "recurra.promotion", "same", 1)) == 1


def test_changed_data_challenge_the_champion_and_drift_is_told_once(
    home: Home, prefect_api: str, recurra: Command, place: Path
) -> None:
    first = retrained(home)
    digits(1500, inverted_from=1000)
    second = retrained(home)
    assert cache(second)["challenge"] == "miss"
    page = (second.folder / "retrain.md").read_text()
    assert "1,000 samples when the champion was trained, 1,500 now: 500 added" in page
    assert "| brightness, new samples (500) |" in page
    assert f"run {second.id} is not promoted" in page
    [drift] = told(prefect_api, "recurra.drift", "r", 1)
    assert any(line.startswith("brightness, new samples") for line in drift["alarms"])

    third = retrained(home)
    assert set(cache(third).values()) == {"hit"}
    assert "as it was decided before" in (third.folder / "retrain.md").read_text()
    assert [each.decision for each in read(home, "r").history] == ["promoted", "kept"]

    # By other rules the same findings come to another decision, and the way back stays open.
    retrained(home, margin=-0.5)
    assert [each.decision for each in read(home, "r").history] == ["promoted", "kept", "promoted"]
    assert recurra("cache", "gc", "--days", "0").returncode == 0
    shown = json.loads(recurra("champion", "rollback", "r", "--json").stdout)
    assert shown["run"] == first.id
    again = retrained(home, margin=-0.5)
    assert "somebody went back from it" in (again.folder / "retrain.md").read_text()
    assert json.loads(recurra("champion", "show", "r", "--json").stdout)["current"]["run"] == first.id
    _recognises(recurra, place, first)


def _recognises(recurra: Command, place: Path, run: Run) -> None:
    from PIL import Image

    Image.fromarray(np.zeros((8, 8), np.uint8)).save(place / "new.png")
    done = recurra("predict", "champion:r", "new.png", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"] == str(run.folder)


KILLED = """
import os, signal, sys
from pathlib import Path
from recurra.champion import promotion
from recurra.champion.rules import Rules
from recurra.config import load_experiment
from recurra.home import Home
from recurra_flows import challenging, retrain

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[1] == "before":
    promotion.enter = die
else:
    retrain.announce = die
home = Home.default()
flow = retrain.retrain.with_options(result_storage=home.path / "prefect")
flow(load_experiment(Path("r.yaml"), ["name=" + sys.argv[2]]), home.path, Rules())
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_before_or_after_the_promotion_the_next_run_ends_the_same_and_it_is_told(
    home: Home, prefect_api: str, when: str
) -> None:
    name = f"killed-{when}"
    env = {**os.environ, "PREFECT_API_URL": prefect_api}
    killed = subprocess.run([sys.executable, "-c", KILLED, when, name], env=env, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(read(home, name).history) == (when == "after")

    run = retrained(home, name)
    assert set(cache(run).values()) == {"hit"}
    [promoted] = read(home, name).history
    assert promoted.network.weights == run.artifact("train").sha256("best.safetensors")
    assert promoted.told
    assert len(told(prefect_api, "recurra.promotion", name, 1)) == 1


def test_a_killed_retraining_that_is_resumed_comes_to_its_decision(
    home: Home, prefect_api: str, recurra: Command
) -> None:
    env = {**os.environ, "PREFECT_API_URL": prefect_api}
    assert subprocess.run([sys.executable, "-c", KILLED, "before", "resumed"], env=env).returncode == -signal.SIGKILL
    [folder] = home.runs.iterdir()
    done = recurra("resume", folder.name, PREFECT_API_URL=prefect_api)
    assert done.returncode == 0, done.stderr
    [decision] = read(home, "resumed").history
    assert (decision.decision, decision.network.run, decision.told) == ("promoted", folder.name, True)
    assert "is the new champion" in (folder / "retrain.md").read_text()
    assert "already finished" in recurra("resume", folder.name).stdout


def test_an_event_that_was_not_sent_or_not_noted_as_sent_is_sent_again_and_is_one(
    home: Home, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recurra_flows import announcing, events

    async def refused(event: Any) -> None:
        raise OSError("no server")

    with monkeypatch.context() as patch:
        patch.setattr(events, "_sent", refused)
        retrained(home, "twice")
    assert not read(home, "twice").history[0].told
    with monkeypatch.context() as patch:
        patch.setattr(announcing, "tell", lambda *_: None)  # as if it was killed after it was sent
        retrained(home, "twice")
    assert not read(home, "twice").history[0].told
    retrained(home, "twice")
    assert read(home, "twice").history[0].told
    assert len(told(prefect_api, "recurra.promotion", "twice", 1)) == 1


def test_other_test_data_with_the_same_network_are_measured_too(home: Home, prefect_api: str) -> None:
    bunch: Any = load_digits()
    pixels = (bunch.images * (255 / 16)).astype(np.uint8)
    parts = {"x_train": pixels[:1000], "y_train": bunch.target[:1000], "y_test": bunch.target[1000:1300]}
    np.savez("d.npz", x_test=pixels[1000:1300], **parts)
    first = retrained(home, "tested")
    np.savez("d.npz", x_test=255 - pixels[1000:1300], **parts)
    second = retrained(home, "tested", margin=-1)
    assert first.artifact("train").sha256("best.safetensors") == second.artifact("train").sha256("best.safetensors")
    page = (second.folder / "retrain.md").read_text()
    assert "is not promoted: what was trained is the same network, though the data are others" in page
    assert read(home, "tested").history[-1].alarms
    assert len(told(prefect_api, "recurra.drift", "tested", 1)) == 1
    retrained(home, "tested", margin=-1)
    assert [each.decision for each in read(home, "tested").history] == ["promoted", "kept"]


def test_what_cannot_be_retrained_is_refused_before_anything_is_trained(home: Home, prefect_api: str) -> None:
    from recurra_flows.retrain import retrain

    with pytest.raises(InputError, match="a GAN has no accuracy"):
        retrain.fn(load_experiment(Path("g.yaml"), []), home.path, Rules())
    first = retrained(home, "gone")
    home.store.remove(first.artifact("train"))
    before = list(home.runs.iterdir())
    with pytest.raises(InputError, match=r"the train artifact of run .* is gone.*`recurra resume"):
        retrain.fn(load_experiment(Path("r.yaml"), ["name=gone"]), home.path, Rules())
    assert list(home.runs.iterdir()) == before
    with pytest.raises(InputError, match="none before it"):
        roll_back(home, "gone")
