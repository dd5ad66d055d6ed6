"""The flow on a real Prefect server, its workers, its cache and its record."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.prefect
RunJson = Callable[..., dict[str, Any]]


def _hits(done: dict[str, Any]) -> dict[str, str]:
    return {stage: record["cache"] for stage, record in done["stages"].items()}


def test_a_second_run_is_all_hits_and_a_changed_field_makes_only_what_depends_on_it(run_json: RunJson) -> None:
    first = run_json("e.yaml")
    assert list(first["stages"]) == ["preprocess", "train", "evaluate", "report"]
    assert set(_hits(first).values()) == {"miss"}
    assert {"accuracy", "macro_f1", "log_loss", "ece"} <= set(first["metrics"])
    assert Path(first["report"]).read_text().startswith("<!")

    second = run_json("e.yaml")
    assert set(_hits(second).values()) == {"hit"}
    assert second["metrics"] == first["metrics"]

    third = run_json("e.yaml", "train.epochs=3")
    assert _hits(third)["preprocess"] == "hit"
    assert third["stages"]["train"] == third["stages"]["train"] | {"cache": "miss", "why": "train.epochs 2 -> 3"}


def test_what_explain_says_beforehand_is_what_the_run_then_does(
    recurra: Callable[..., subprocess.CompletedProcess[str]], run_json: RunJson
) -> None:
    for arguments, first_miss in ((["e.yaml"], "preprocess"), (["e.yaml", "train.epochs=3"], "train")):
        said = json.loads(recurra("cache", "explain", *arguments, "--json").stdout)["stages"]
        done = run_json(*arguments)
        # What follows a miss cannot be known: what is made may be the same as before.
        for stage in ("preprocess", "train")[: 1 + ["preprocess", "train"].index(first_miss)]:
            assert said[stage]["cache"] == done["stages"][stage]["cache"] == ("miss" if stage == first_miss else "hit")
        assert said[first_miss]["why"] == done["stages"][first_miss]["why"]
    said = json.loads(recurra("cache", "explain", *arguments, "--json").stdout)["stages"]
    assert {stage: each["artifact"] for stage, each in said.items()} == {
        stage: each["artifact"] for stage, each in done["stages"].items()
    }


@pytest.mark.parametrize("harm", ["damaged", "removed"])
def test_a_damaged_or_removed_artifact_is_noticed_and_made_again(run_json: RunJson, harm: str) -> None:
    folder = Path(run_json("e.yaml")["stages"]["train"]["artifact"])
    weights = folder / "best.safetensors"
    before = weights.read_bytes()
    if harm == "damaged":
        weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    else:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    again = run_json("e.yaml")
    assert _hits(again) | {"report": ""} == {"preprocess": "hit", "train": "miss", "evaluate": "hit", "report": ""}
    assert ("damaged" if harm == "damaged" else "gone") in again["stages"]["train"]["why"]
    assert weights.read_bytes() == before


def test_the_dashboard_gets_names_tags_and_artifacts(run_json: RunJson, prefect_api: str) -> None:
    from prefect.client.orchestration import get_client

    run_json("e.yaml", "name=named-one")
    with get_client(sync_client=True) as client:
        flows = {run.name: run for run in client.read_flow_runs()}
        kinds = {artifact.key: artifact.type for artifact in client.read_artifacts()}
    assert {"named-one", "plain", "fusion"} <= set(flows["named-one/plain"].tags)
    assert kinds["named-one-plain-metrics"] == "table"
    assert kinds["named-one-plain-report"] == "markdown"
    assert kinds["named-one-plain-training"] == "progress"


def test_a_worker_that_is_killed_is_one_line_and_the_run_says_how_to_go_on(
    recurra: Callable[..., subprocess.CompletedProcess[str]], prefect_api: str
) -> None:
    done = recurra("run", "e.yaml", PREFECT_API_URL=prefect_api, PLAIN_DIES="always")
    assert done.returncode == 1
    assert "error: train: the worker process was ended by SIGKILL" in done.stderr
    assert "Traceback" not in done.stderr
    shown = json.loads(recurra("runs", "show", "latest", "--json").stdout)
    assert shown["status"] == "failed"
    assert list(shown["stages"]) == ["preprocess"]
    assert f"recurra resume {shown['id']}" in done.stderr

    resumed = recurra("resume", "latest", "--json", PREFECT_API_URL=prefect_api)
    assert json.loads(resumed.stdout)["run"] == shown["run"]
    assert "already finished" in recurra("resume", "latest").stdout


def test_predictions_go_through_the_runs_own_preprocessing_and_what_cannot_be_read_is_listed(
    recurra: Callable[..., subprocess.CompletedProcess[str]], run_json: RunJson, place: Path
) -> None:
    import numpy as np
    from PIL import Image

    run_json("e.yaml")
    (place / "new").mkdir()
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(place / "new" / "a.png")
    (place / "new" / "b.png").write_bytes(b"no image")
    done = recurra("predict", "latest", "new", "--out", "p.csv", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["predicted"]) == (0, 1)
    assert [Path(each["source"]).name for each in answer["refused"]] == ["b.png"]
    assert (place / "p.csv").read_text().splitlines()[1].startswith('0,"new/a.png"')
    assert recurra("predict", "latest", "new/b.png").returncode == 2


def test_without_an_api_a_server_of_the_runs_own_is_started_and_gone_afterwards(
    recurra: Callable[..., subprocess.CompletedProcess[str]], place: Path
) -> None:
    done = recurra("run", "e.yaml", "--json")
    assert done.returncode == 0, done.stderr
    assert (place / "prefect" / "prefect.db").is_file()
    assert not [
        process.pid
        for process in psutil.process_iter(["cmdline", "environ"])
        if "recurra_flows.server" in (process.info["cmdline"] or [])
        and (process.info["environ"] or {}).get("PREFECT_HOME") == str(place / "prefect")
    ]
