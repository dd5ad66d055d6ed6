"""`recurra plugins`: what it calls usable can be used, nothing installed breaks it, and a new backend is right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from recurra.certificate import read_certificate

Recurra = Callable[..., subprocess.CompletedProcess[str]]
Install = Callable[[str, str, str], None]
BACKEND = """
from recurra.hookspecs import hookimpl

class Backend:
    name, contract, capabilities = {name!r}, {contract}, {capabilities}

@hookimpl
def recurra_backend():
    return Backend()
"""
SOUND = BACKEND.format(name="odd", contract=(1, 3), capabilities={"cnn"})
MISBEHAVING = {
    "raises": ("raise ZeroDivisionError('two\\nlines')", "cannot be imported: ZeroDivisionError: two lines"),
    "exits": ("import sys; sys.exit('bye')", "cannot be imported: SystemExit: bye"),
    "ends its process": ("import os; os._exit(3)", "it ended the process that loaded it (exit status 3)"),
    "crashes": ("import os; os.kill(os.getpid(), 9)", "it ended the process that loaded it (signal 9)"),
    "has no hook": ("", "has no recurra_backend hook"),
    "is too new": (SOUND.replace("(1, 3)", "(7, 9)"), "was written for contract 7 to 9"),
    "has another name": (SOUND.replace("'odd'", "'even'"), "calls itself 'even'"),
    "hands over text": (SOUND.replace("Backend()", "'a backend'"), "does not hand over a backend: AttributeError"),
    "has no versions": (SOUND.replace("(1, 3)", "'one'"), "does not hand over a backend"),
    "can do a number": (SOUND.replace("{'cnn'}", "7"), "'int' object is not iterable"),
}


def rows_of(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return {row["name"]: row for row in json.loads(done.stdout)["plugins"]}


@pytest.mark.parametrize("how", MISBEHAVING)
def test_a_backend_that_misbehaves_is_a_row_with_its_reason_and_the_others_are_usable(
    how: str, installed: Install, recurra: Recurra
) -> None:
    code, reason = MISBEHAVING[how]
    installed("odd", code, "recurra.backends")
    rows = rows_of(recurra("plugins", "--json"))
    assert rows["odd"]["state"] == "broken"
    assert reason in rows["odd"]["problem"]
    assert "\n" not in rows["odd"]["problem"]
    assert rows["plain"]["usable"]


def test_what_plugins_print_is_not_in_the_list(installed: Install, recurra: Recurra) -> None:
    installed("odd", "import os\nprint('chatter')\nos.write(1, b'more chatter')\n" + SOUND, "recurra.backends")
    installed("loud", "print('chatter')", "recurra.plugins")
    assert rows_of(recurra("plugins", "--json"))["odd"]["contract"] == [1, 3]
    table = recurra("plugins").stdout
    assert "chatter" not in table
    assert "odd-backend 1" in table


SLOW = """
import json, sys
from recurra.listing import listing
print(json.dumps({row.entry.name: [row.state, row.problem] for row in listing(seconds=3)}))
"""


def test_a_plugin_that_takes_too_long_is_not_waited_for(installed: Install) -> None:
    installed("odd", "import time; time.sleep(600)", "recurra.backends")
    done = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["odd"] == ["broken", "it was not loaded within 3 s"]


LEAVING = """
import os, time
from pathlib import Path
if os.fork() == 0:
    Path("left").write_text(str(os.getpid()))
    time.sleep(600)
while not (Path("left").exists() and Path("left").read_text()):
    time.sleep(0.01)
"""


def test_a_process_that_a_plugin_leaves_behind_is_not_waited_for_and_ends(
    place: Path, installed: Install, recurra: Recurra
) -> None:
    installed("odd", LEAVING + SOUND, "recurra.backends")
    assert rows_of(recurra("plugins", "--json"))["odd"]["state"] == "usable"
    left = int((place / "left").read_text())
    assert not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE


def test_a_name_that_two_distributions_use_is_told_and_one_of_them_can_be_denied(
    place: Path, installed: Install, recurra: Recurra
) -> None:
    installed("odd", SOUND, "recurra.backends")
    info = place / "of-odd" / "impostor-2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: impostor\nVersion: 2\n")
    (info / "entry_points.txt").write_text("[recurra.backends]\nodd = impostor\n")
    found = [row for row in json.loads(recurra("plugins", "--json").stdout)["plugins"] if row["name"] == "odd"]
    assert {row["state"] for row in found} == {"clash"}
    done = recurra("plugins", "--json", RECURRA_PLUGINS_DENY="Impostor")
    states = {row["distribution"]: row["state"] for row in json.loads(done.stdout)["plugins"] if row["name"] == "odd"}
    assert states == {"odd-backend": "usable", "impostor": "blocked"}


@pytest.mark.parametrize(
    "setting", [{"RECURRA_PLUGINS_DENY": "other, odd"}, {"RECURRA_PLUGINS_ALLOW": "plain,torch"}], ids=["deny", "allow"]
)
def test_a_blocked_plugin_is_never_imported(
    setting: dict[str, str], place: Path, installed: Install, recurra: Recurra
) -> None:
    installed("odd", "from pathlib import Path; Path('imported').touch()\n" + SOUND, "recurra.backends")
    rows = rows_of(recurra("plugins", "--json", **setting))
    assert (rows["odd"]["state"], rows["plain"]["state"]) == ("blocked", "usable")
    assert next(iter(setting)) in rows["odd"]["problem"]
    refused = recurra("run", "e.yaml", "backend=odd", **setting)
    assert refused.returncode == 2
    assert "backend 'odd' cannot be used: blocked by RECURRA_PLUGINS_" in refused.stderr
    assert not (place / "imported").exists()


def test_listing_backends_imports_no_framework(recurra: Recurra) -> None:
    # Python tells every import of the process, and of those that it forks.
    told = recurra("plugins", PYTHONPROFILEIMPORTTIME="1").stderr.splitlines()
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in told if line.startswith("import time:")}
    assert "recurra_torch" in imported
    assert imported & {"torch", "tensorflow", "keras", "jax", "pandas", "prefect"} == set()


def test_a_backend_that_is_wrong_fails_the_kit_and_its_certificate_says_where(place: Path, recurra: Recurra) -> None:
    done = recurra("plugins", "check", "plain", "-k", "labels or says_what", "--certificate", "c.json")
    assert done.returncode == 1, done.stderr
    assert "labels count from zero" in done.stdout
    found = read_certificate(place / "c.json")
    outcomes = {check["words"]: check["outcome"] for check in found["checks"]}
    assert outcomes["it says what it is and which devices it sees"] == "passed"
    assert outcomes["labels count from zero"] == "failed"
    assert (found["verdict"], found["versions"], found["selection"]) == (
        "failed",
        {"plain": "1"},
        "-k labels or says_what",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "plane"), "Did you mean 'plain'?"),
        (("check", "plain", "-k", "no_such_word"), "no check has that in its name"),
        (("check", "plain", "-k", "and and"), "expected words joined by and, or, not"),
        (("check", "plain", "--certificate", "c.txt"), "--certificate c.txt: expected a .json file"),
        (("new", "My Backend"), "expected small letters"),
        (("new", "plain"), "is the name of a backend that is installed"),
        (("new", "flows"), "its package would be recurra_flows, which there is already"),
        (("new", "recurra-torch"), "its package would be recurra_torch, which there is already"),
        (("new", "recurra-jax"), "its package would be recurra_jax, which there is already"),
        (("new", "mine", "--into", "nowhere"), "there is no such folder"),
        (("new", "mine", "--author", 'a"b'), "expected a name without quotes"),
    ],
)
def test_a_wrong_request_is_one_line(arguments: tuple[str, ...], said: str, recurra: Recurra) -> None:
    done = recurra("plugins", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("arguments", [("check", "odd"), ("new", "mine")])
def test_without_pytest_or_copier_the_line_says_what_to_install(arguments: tuple[str, str], installed: Install) -> None:
    installed("odd", SOUND, "recurra.backends")
    code = (
        "import sys; sys.modules.update(pytest=None, copier=None); from recurra_flows.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", code, "plugins", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'pip install "recurra[plugins]"' in done.stderr


@pytest.fixture
def mine(place: Path, recurra: Recurra, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new backend `my-backend`, made and installed as its author would."""
    pytest.importorskip("hatchling")
    done = recurra("plugins", "new", "my-backend", "--author", "Ada Lovelace", "--license", "Apache-2.0")
    assert done.returncode == 0, done.stderr
    target = place / "site"
    how = ["--no-index", "--no-build-isolation", "--no-deps", "--disable-pip-version-check", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *how, str(place / "my-backend")], check=True)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(target), os.environ["PYTHONPATH"]]))
    return place / "my-backend"


def test_a_new_backend_is_listed_passes_the_kit_its_own_tests_and_lint(mine: Path, recurra: Recurra) -> None:
    row = rows_of(recurra("plugins", "--json"))["my-backend"]
    assert (row["state"], row["distribution"]) == ("usable", "recurra-my-backend")
    assert row["capabilities"] == ["cnn", "exact-resume", "float64"]
    done = recurra("plugins", "check", "my-backend", "--quick", "--json")
    assert done.returncode == 0, done.stdout
    found = json.loads(done.stdout)
    assert (found["verdict"], found["counts"]["failed"]) == ("partial", 0)
    assert "backend 'my-backend' does not claim gan" in {check["reason"] for check in found["checks"]}
    own = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "TestBackend and (labels or import)"]
    assert subprocess.run(own, cwd=mine, check=False).returncode == 0
    lint = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E,F", "--line-length", "120", "."]
    assert subprocess.run(lint, cwd=mine, check=False).returncode == 0


def test_a_new_backend_runs_an_experiment(mine: Path, run_json: Callable[..., dict[str, Any]]) -> None:
    found = run_json("my-backend/experiment.yaml", "train.epochs=1", "data.train_fraction=0.1")
    assert (found["backend"], found["metrics"]["samples"]) == ("my-backend", 359)
    assert found["metrics"]["log_loss"] < 2.5  # no worse than a guess, after five steps
