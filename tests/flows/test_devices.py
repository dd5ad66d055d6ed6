"""`recurra devices`: what there is, who holds it, who waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from recurra.devices import Holder, Leases, Request
from recurra_flows.cli import main


@pytest.fixture
def leases(place: Path, monkeypatch: pytest.MonkeyPatch) -> Leases:
    """Two pretended GPUs and four cores."""
    monkeypatch.setenv("RECURRA_LEASES", str(place / "leases"))
    monkeypatch.setenv("RECURRA_DEVICES", "pretend:2")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 8}, raising=False)  # the kernel's answer
    return Leases.of_this_machine()


def me(what: str, ago: float = 0.0) -> Holder:
    return Holder(os.getpid(), what, "happy-cat", time.time() - ago)


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of `recurra devices`, single-spaced."""
    assert main(["devices"]) == 0
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def shown_as_json(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["devices", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_gpu_and_the_cores_of_each_holder_have_a_row(leases: Leases, capsys: pytest.CaptureFixture[str]) -> None:
    with leases.take(Request(gpus=1), me("[bold]train")), leases.take(Request(cores=3), me("evaluate")):
        lines = shown(capsys)
    process = str(os.getpid())
    assert lines[1].startswith("GPU 0 pretended (pretend-0) [bold]train happy-cat 0.")
    assert lines[1].endswith(f" s {process}")
    assert lines[2] == "GPU 1 pretended (pretend-1) free"
    assert lines[3] == "1 core 8 free"
    assert lines[4].startswith("3 cores 0-2 evaluate happy-cat 0.")
    assert lines[5] == f"leases in {leases.folder}"


def test_without_a_gpu_it_says_what_a_task_that_asks_for_one_gets(
    leases: Leases, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECURRA_DEVICES", "none")
    assert shown(capsys)[1:3] == [
        "4 cores 0-2, 8 free",
        "no GPU: a task that asks for one gets a share of the 4 cores",
    ]


def test_who_waits_is_listed_in_order(leases: Leases, capsys: pytest.CaptureFixture[str]) -> None:
    stop = threading.Event()

    def wait() -> None:
        with pytest.raises(Exception, match="withdrawn"):
            leases.take(Request(gpus=2), me("sweep", ago=65), stop.is_set)

    with leases.take(Request(gpus=1), me("train")):
        thread = threading.Thread(target=wait)
        thread.start()
        while not leases.waiting():
            time.sleep(0.01)
        line, found = shown(capsys)[4], shown_as_json(capsys)["waiting"]
        stop.set()
        thread.join()
    assert line.startswith(f"waiting for 2 GPUs: sweep of happy-cat (process {os.getpid()}), for 1 min ")
    assert [(one["gpus"], one["cores"], one["holder"]["what"]) for one in found] == [(2, 0, "sweep")]


def test_json_has_every_unit_with_its_holder_or_null(leases: Leases, capsys: pytest.CaptureFixture[str]) -> None:
    with leases.take(Request(1, 1), me("train")):
        found = shown_as_json(capsys)
    assert found["leases"] == str(leases.folder)
    assert [gpu["id"] for gpu in found["gpus"]] == ["pretend-0", "pretend-1"]
    assert [core["core"] for core in found["cores"]] == [0, 1, 2, 8]
    holders = [unit["holder"] for unit in (*found["gpus"], *found["cores"])]
    assert [bool(holder) for holder in holders] == [True, False, True, False, False, False]
    assert holders[0].items() >= {"pid": os.getpid(), "what": "train", "flow": "happy-cat", "lives": True}.items()


def test_a_holder_that_is_gone_while_its_worker_works_is_said_to_be(
    leases: Leases, capsys: pytest.CaptureFixture[str]
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    with leases.take(Request(gpus=1), Holder(ended.pid, "train", "", time.time())):
        assert shown(capsys)[1].endswith(f"{ended.pid} (gone; its worker is not)")


def test_looking_makes_no_folder(leases: Leases, capsys: pytest.CaptureFixture[str]) -> None:
    shown(capsys)
    assert not leases.folder.exists()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("RECURRA_DEVICES", "two", "RECURRA_DEVICES=two"), ("RECURRA_LEASES", "/dev/null", "/dev/null")],
)
def test_a_wrong_setting_is_one_clear_line_and_status_2(
    name: str,
    value: str,
    said: str,
    leases: Leases,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, value)
    assert main(["devices"]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert len(captured.err.splitlines()) == 1
    assert not captured.out


def test_it_imports_neither_prefect_nor_a_framework_nor_pandas(leases: Leases) -> None:
    code = (
        "import sys; from recurra_flows.cli import main; main(['devices']);"
        "print([m for m in ('prefect', 'torch', 'tensorflow', 'pandas', 'pyarrow', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
