"""The kit's process can end, hang or be held open by what the backend does: the certificate says so, and what holds."""

from __future__ import annotations

import json
import os
import runpy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from recurra_flows.certifying import certified

HALTING = """
import json, os, time
from pathlib import Path
from recurra.contract import Device
from recurra.errors import InputError
from recurra.hookspecs import hookimpl

recurra_conformance = json.loads(os.environ.get("HALTING_DECLARES", "{}"))

def does(what):
    return what == os.environ.get("HALTING_DOES")

class Halting:
    name, contract = "halting", (1, 1)
    capabilities = frozenset({os.environ.get("HALTING_CLAIMS", "cnn")})

    def describe(self):
        if does("raises"):
            raise RuntimeError("no driver")
        if does("leaves a child") and os.fork() == 0:
            Path(os.environ["HALTING_CHILD"]).write_text(str(os.getpid()))
            time.sleep(300)
            os._exit(0)
        return {"halting": "1"}

    def devices(self):
        return [Device("cpu", "none")]

    def build(self, spec, device, seed):
        if does("interrupts"):
            raise KeyboardInterrupt
        if does("aborts"):
            os.abort()
        if does("hangs"):
            time.sleep(300)
        raise InputError(f"device: '{device}' is not there; there is cpu")

@hookimpl
def recurra_backend():
    return Halting()
"""
WORDS = "TestBackend and (says_what_it_is or unknown_device)"
Certified = Callable[..., dict[str, Any]]


@pytest.fixture
def halting(place: Path, installed: Callable[[str, str, str], None], monkeypatch: pytest.MonkeyPatch) -> Certified:
    """The certificate of the backend `halting`, which does what is asked."""
    installed("halting", HALTING, "recurra.backends")
    monkeypatch.syspath_prepend(str(place / "of-halting"))

    def run(does: str, words: str = WORDS, **settings: Any) -> dict[str, Any]:
        monkeypatch.setenv("HALTING_DOES", does)
        return certified("halting", words, **settings)

    return run


def outcomes(found: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {check["words"]: (check["outcome"], check["reason"]) for check in found["checks"]}


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ("interrupts", "pytest was stopped"),
        ("aborts", 'the process ended with SIGABRT; it said: Fatal Python error: Aborted in File "'),
        ("hangs", "nothing was heard of it for 10 s"),
    ],
)
def test_a_kit_that_stops_early_fails_in_the_check_that_was_running(does: str, reason: str, halting: Certified) -> None:
    found = halting(does, seconds=10)
    told = outcomes(found)
    outcome, why = told["an unknown device is refused by name"]
    assert (found["verdict"], outcome) == ("failed", "failed")
    assert reason in why
    assert told["it says what it is and which devices it sees"] == ("passed", "")
    assert len(found["code"]["sha256"]) == 64


def test_a_backend_that_cannot_describe_itself_has_a_certificate_that_says_so(
    halting: Certified, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is installed is checked, and not what lies in the folder.
    (tmp_path / "halting.py").write_text("raise ZeroDivisionError")
    monkeypatch.chdir(tmp_path)
    found = halting("raises")
    assert (found["verdict"], found["versions"]) == ("failed", {})
    assert "no driver" in outcomes(found)["it says what it is and which devices it sees"][1]
    assert outcomes(found)["an unknown device is refused by name"][0] == "passed"


def test_a_process_that_the_backend_leaves_behind_is_not_waited_for_and_ends(
    halting: Certified, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALTING_CHILD", str(tmp_path / "child"))
    before = time.monotonic()
    assert halting("leaves a child")["counts"]["passed"] == 2
    assert time.monotonic() - before < 250
    child = int((tmp_path / "child").read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_checks_of_what_is_not_claimed_are_all_skipped_and_that_is_no_failure(halting: Certified) -> None:
    found = halting("", words="gates or (TestTraining and (interrupted or killed or stopped_in))")
    reasons = {reason for _, reason in outcomes(found).values()}
    assert (found["verdict"], found["counts"]["skipped"]) == ("unchecked", 5)
    assert reasons == {f"backend 'halting' does not claim {each}" for each in ("rnn", "exact-resume")}


def test_what_fails_in_a_fixture_can_be_declared_and_a_parameter_that_there_is_not_is_told(
    halting: Certified, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = "test_weights_come_back_as_they_were_loaded"
    declared = {check: "no GAN yet", f"{check}[no-such-network]": "x"}
    monkeypatch.setenv("HALTING_CLAIMS", "gan")
    monkeypatch.setenv("HALTING_DECLARES", json.dumps(declared))
    words = "(TestGan and weights_come_back_as) or expected_failures or (TestTraining and records_every)"
    told = outcomes(halting("", words=words))
    assert told["weights come back as they were loaded [clip]"] == ("expected", "no GAN yet")
    stale = told["expected failures name checks of the kit"][1]
    assert f"no check of the kit is called {check}[no-such-network]" in stale
    nothing = "backend 'halting' claims none of fusion, cnn, rnn"
    assert told["a training learns and records every epoch"] == ("skipped", nothing)


def test_a_capability_that_there_is_not_is_told_with_the_nearest(
    halting: Certified, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALTING_CLAIMS", "exact_resume")
    reason = outcomes(halting("", words="says_what_it_is"))["it says what it is and which devices it sees"][1]
    assert "there is no capability 'exact_resume'. Did you mean 'exact-resume'?" in reason


def test_a_sound_backend_passes_the_whole_kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runpy.run_path(str(Path(__file__).parents[1] / "exact_backend" / "installing.py"))["install"](tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))
    found = certified("exact")
    assert [check["words"] for check in found["checks"] if check["outcome"] in ("failed", "expected")] == []
    assert (found["verdict"], found["selection"], found["unproven"]) == ("passed", "", [])
    assert found["counts"]["passed"] > 150
