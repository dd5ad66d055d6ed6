"""Worker processes by themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recurra.devices import Holder, Leases, Request
from recurra.errors import InputError, RecurraError
from recurra.progress import Silent
from recurra_flows.leased import leased
from recurra_flows.workers import WorkerHinderedError, WorkerLostError, run_worker


def test_a_worker_answers_and_its_chatter_goes_to_the_log(place: Path) -> None:
    answer = run_worker("devices", {"backend": "plain"}, Silent(), place / "log")
    assert answer["devices"] == [{"name": "cpu", "description": "this one"}]
    assert (place / "log").is_file()


def test_a_wrong_request_is_an_input_error_here_too_with_the_workers_traceback(place: Path) -> None:
    with pytest.raises(InputError, match="not installed") as raised:
        run_worker("devices", {"backend": "plian"}, Silent(), place / "log")
    assert "Traceback" in raised.value.__notes__[0]


def test_a_fault_in_a_worker_is_one_line(place: Path) -> None:
    with pytest.raises(RecurraError, match="devices: KeyError") as raised:
        run_worker("devices", {}, Silent(), place / "log")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        ("full disk", WorkerHinderedError, "OSError: .*No space left"),
        ("dies while it writes", WorkerLostError, "ended by SIGKILL"),
    ],
)
def test_a_failure_that_may_pass_is_told_from_one_that_will_not(
    place: Path, how: str, kind: type[WorkerLostError], said: str
) -> None:
    with pytest.raises(WorkerLostError, match=said) as raised:
        run_worker("devices", {"backend": "plain"}, Silent(), place / "log", {"PLAIN_DEVICES": how})
    assert raised.type is kind


def test_what_a_process_has_forked_ends_with_its_owner() -> None:
    forking = """if True:
        import os, sys, time
        from recurra_flows.lifeline import follow
        child = os.fork()
        if child:
            print(child, flush=True)
            follow(sys.stdin.buffer)
        time.sleep(600)
    """
    owned = subprocess.Popen(
        [sys.executable, "-c", forking], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert owned.stdout is not None
    int(owned.stdout.readline())
    owned.communicate(timeout=60)  # closes its lifeline; its output ends when the child is gone too
    assert owned.returncode == -signal.SIGTERM


def test_a_worker_that_dies_is_lost_with_the_place_of_what_it_printed(place: Path) -> None:
    with pytest.raises(WorkerLostError, match=r"exit status 1.*log"):
        run_worker("devices", {}, Silent(), place / "log", {"PYTHONHASHSEED": "wrong"})


def test_a_worker_that_fails_leaves_no_bar_on_the_terminal(place: Path) -> None:
    from io import StringIO

    from rich.console import Console

    from recurra.progress import Terminal

    shown = Terminal(Console(file=StringIO(), force_terminal=True))
    shown.begin("predict", 10, "samples")
    with pytest.raises(InputError):
        run_worker("devices", {"backend": "plian"}, shown, place / "log")
    assert shown.bar is None


def test_a_command_that_computes_holds_a_lease_and_says_who_it_waits_for(place: Path) -> None:
    said = list[str]()
    leases = Leases.of_this_machine()
    everything = leases.take(Request(cores=leases.inventory.cores), Holder(os.getpid(), "a training", "", time.time()))

    def hear(line: str) -> None:
        said.append(line)
        everything.release()

    with leased({"cpu"}, "recurra predict", hear):
        holders = {each.holder.what for each in leases.holdings() if each.holder}
        assert run_worker("devices", {"backend": "plain"}, Silent(), place / "log")["devices"]
    assert holders == {"recurra predict"}
    assert "a training" in said[0]
    assert not any(each.holder for each in leases.holdings())
