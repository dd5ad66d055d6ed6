"""`recurra doctor`: what it finds, and when it says that no run is possible."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recurra.registry import entries
from recurra_flows.cli import main

Doctor = Callable[..., tuple[int, dict[str, Any]]]


def test_it_asks_every_backend_for_its_devices_in_a_process_of_its_own(
    recurra: Callable[..., subprocess.CompletedProcess[str]], place: Path
) -> None:
    done = recurra("doctor", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ready"]
    assert {backend["name"] for backend in found["backends"]} == {entry.name for entry in entries()}
    plain = next(backend for backend in found["backends"] if backend["name"] == "plain")
    assert plain["devices"] == [{"name": "cpu", "description": "this one"}]
    assert (found["home"]["path"], found["home"]["problem"]) == (str(place / "home"), "")


@pytest.fixture
def doctor(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Runs the doctor in a world in which `plain` is the one backend: its status, and what it found."""
    monkeypatch.setattr(
        "recurra_flows.checkup.entries", lambda: [entry for entry in entries() if entry.name == "plain"]
    )

    def run(**env: str) -> tuple[int, dict[str, Any]]:
        monkeypatch.setattr(os, "environ", os.environ.copy() | env)
        return main(["doctor", "--json"]), json.loads(capsys.readouterr().out)

    return run


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"PLAIN_DEVICES": "full disk"}, "no backend can be used"),
        ({"RECURRA_HOME": "e.yaml"}, "is no folder"),
        ({"PREFECT_API_URL": "http://127.0.0.1:9/api"}, "does not answer"),
    ],
)
def test_where_no_run_is_possible_the_status_is_1_and_the_problem_is_named(
    doctor: Doctor, env: dict[str, str], said: str
) -> None:
    status, found = doctor(**env)
    assert (status, found["ready"]) == (1, False)
    assert said in found["problems"][0]["what"]
    assert all(problem["mend"] for problem in found["problems"])


def test_what_only_may_go_wrong_is_named_too_and_the_status_is_0(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recurra_flows.checkup.LITTLE", float("inf"))
    status, found = doctor()
    assert (status, found["ready"]) == (0, True)
    assert "are free" in found["problems"][0]["what"]
