"""Leases: who has which GPU and which core, across threads and processes, however they end."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.devices import Gpu, Holder, Inventory, Lease, Leases, Request, Withdrawn
from recurra.devices.surroundings import THREADS
from recurra.errors import InputError, RecurraError

GPUS = tuple(Gpu(f"gpu/{number}", f"GPU-{number}", "pretended", None) for number in range(4))
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


@pytest.fixture
def leases() -> Iterator[Leases]:
    """Four GPUs and four cores, in a folder that other users reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Leases(Inventory(GPUS, 4), Path(folder).resolve() / "leases")


def me(what: str = "train") -> Holder:
    return Holder(os.getpid(), what, "happy-cat", time.time())


def once() -> Callable[[], bool]:
    """Stops a request that cannot be served at the first try."""
    asked = iter([False, False])
    return lambda: next(asked, True)


def holders(leases: Leases) -> dict[str, str]:
    """What is held, and for what."""
    return {one.unit: one.holder.what for one in leases.holdings() if one.holder}


def descriptors() -> int:
    """How many this process has open."""
    return len(list(Path("/dev/fd").iterdir()))


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.01)


CODE = """
import os, signal, subprocess, sys, time
from pathlib import Path
from recurra.devices import Gpu, Holder, Inventory, Lease, Leases, Request
GPUS = tuple(Gpu(f"gpu/{number}", f"GPU-{number}", "pretended", None) for number in range(4))
leases = Leases(Inventory(GPUS, 4), Path(sys.argv[1]))
holder = Holder(os.getpid(), "theirs", "", time.time())
"""


@pytest.fixture
def other(leases: Leases) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts a process that runs the code with the same leases, and waits until it has printed a line."""
    processes: list[subprocess.Popen[str]] = []

    def start(code: str) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", CODE + code, str(leases.folder)]
        process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline()
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


# What is given


def test_a_lease_is_all_that_was_asked_for_until_it_is_released(leases: Leases) -> None:
    with leases.take(Request(gpus=3), me()) as lease:
        assert [gpu.id for gpu in lease.gpus] == ["gpu/0", "gpu/1", "gpu/2"]
        assert holders(leases) == {"gpu/0": "train", "gpu/1": "train", "gpu/2": "train"}
        with pytest.raises(Withdrawn):
            leases.take(Request(gpus=2), me(), once())
        with leases.take(Request(gpus=1), me("evaluate")) as rest:
            assert [gpu.id for gpu in rest.gpus] == ["gpu/3"]
    assert holders(leases) == {}


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), max_size=8))
def test_units_are_given_exactly_where_enough_of_them_are_free(steps: list[tuple[int, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        leases, held = Leases(Inventory(GPUS, 4), Path(folder)), list[Lease]()
        for gpus, cores, drop in steps:
            for lease in held[:drop]:
                lease.release()
            held = held[drop:]
            if gpus + cores == 0:
                continue
            enough = gpus <= 4 - sum(len(one.gpus) for one in held) and cores <= 4 - sum(one.cores for one in held)
            try:
                held.append(leases.take(Request(gpus, cores), me(), once()))
            except Withdrawn:
                assert not enough
            else:
                assert enough
        units = [gpu for lease in held for gpu in lease.gpus]
        assert len(set(units)) == len(units)
        assert len(holders(leases)) == sum(len(one.gpus) + one.cores for one in held)
        for lease in held:
            lease.release()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request(gpus=5), "5 GPUs asked for, and this machine has 4"),
        (Request(cores=5), "5 cores asked for, and this machine has 4"),
        (Request(), "at least one"),
        (Request(gpus=-1, cores=2), "at least one"),
    ],
)
def test_what_the_machine_can_never_give_is_refused_at_once(request_: Request, said: str, leases: Leases) -> None:
    with leases.take(Request(4, 4), me()), pytest.raises(InputError, match=said):
        leases.take(request_, me())


def test_several_gpus_are_whole_ones_because_a_process_can_use_one_instance(tmp_path: Path) -> None:
    gpus = (Gpu("MIG-a", "MIG-a", "", None), Gpu("MIG-b", "MIG-b", "", None), *GPUS[:2])
    leases = Leases(Inventory(gpus, 1), tmp_path)
    with leases.take(Request(gpus=2), me()) as lease:
        assert lease.gpus == GPUS[:2]
    with pytest.raises(InputError, match="2 whole ones and 2 MIG instances"):
        leases.take(Request(gpus=3), me())
    with leases.take(Request(gpus=1), me()) as lease:
        assert lease.gpus == gpus[:1]


def test_a_task_that_has_a_lease_cannot_wait_for_itself(leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    with leases.take(Request(gpus=3), me()) as lease:
        monkeypatch.setenv("RECURRA_LEASE", lease.environment["RECURRA_LEASE"])
        with pytest.raises(InputError, match="itself holds 3 GPUs"):
            leases.take(Request(gpus=2), me())
        leases.take(Request(gpus=1, cores=4), me()).release()


# What its process is told


def test_a_process_sees_what_was_leased_and_no_other_gpu(leases: Leases) -> None:
    with leases.take(Request(gpus=2), me()) as lease:
        assert lease.environment["CUDA_VISIBLE_DEVICES"] == "GPU-0,GPU-1"
        assert json.loads(lease.environment["RECURRA_LEASE"])["gpus"] == ["gpu/0", "gpu/1"]
    with leases.take(Request(cores=2), me()) as lease:
        assert lease.environment["CUDA_VISIBLE_DEVICES"] == ""


def test_threads_are_limited_to_the_cores_held_or_the_users_smaller_number(
    leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    for name, own in {"OMP_NUM_THREADS": "2,1", "MKL_NUM_THREADS": "64", "TF_NUM_INTRAOP_THREADS": "many"}.items():
        monkeypatch.setenv(name, own)
    with leases.take(Request(cores=3), me()) as lease:
        threads = {name: lease.environment[name] for name in THREADS}
        assert threads == {**dict.fromkeys(THREADS, "3"), "OMP_NUM_THREADS": "2"}


@pytest.mark.parametrize(("gpus", "threads"), [(1, "1"), (2, "2"), (4, None)])
def test_gpu_tasks_that_share_the_machine_share_its_cores(gpus: int, threads: str | None, leases: Leases) -> None:
    with pytest.MonkeyPatch.context() as patch, leases.take(Request(gpus=gpus), me()) as lease:
        patch.delenv("NUMEXPR_NUM_THREADS", raising=False)
        assert lease.environment.get("NUMEXPR_NUM_THREADS") == threads


@pytest.mark.parametrize(
    ("tags", "with_gpus", "without"),
    [
        (["gpu:2"], Request(gpus=2), Request(cores=6)),
        (["gpu"], Request(gpus=1), Request(cores=6)),
        (["GPU:4", "mine"], Request(gpus=4), Request(cores=4)),
        (["gpu:9"], Request(gpus=9), Request(cores=6)),
        (["cpu"], Request(cores=6), Request(cores=6)),
        (["cpu:4"], Request(cores=4), Request(cores=4)),
        (["gpu-tests", "gpus:2", "mine"], None, None),
        ([], None, None),
    ],
)
def test_a_tag_asks_for_gpus_or_where_there_are_none_for_cores(
    tags: list[str], with_gpus: Request | None, without: Request | None
) -> None:
    assert Request.of_tags(tags, Inventory(GPUS, 6)) == with_gpus
    assert Request.of_tags(tags, Inventory((), 6)) == without


@given(st.integers(1, 99), st.integers(1, 99), st.none() | st.integers(1, 99))
def test_cpu_slots_never_ask_for_more_cores_than_there_are(slots: int, there: int, cores: int | None) -> None:
    request = Request.of_tags([f"cpu:{slots}"], Inventory((), there), cores)
    assert request is not None
    assert 1 <= request.cores <= there
    assert request.cores == min(there, slots * (cores or max(1, there // slots)))


@pytest.mark.parametrize("tags", [["gpu:x"], ["gpu:0"], ["gpu:"], ["gpu:-1"], ["cpu:1.5"], ["gpu:٣"], ["gpu:1", "cpu"]])
def test_a_malformed_tag_is_refused_and_named(tags: list[str]) -> None:
    with pytest.raises(InputError, match=tags[0]):
        Request.of_tags(tags, Inventory(GPUS, 4))


# Waiting


def test_threads_never_hold_one_gpu_at_once(leases: Leases) -> None:
    using, most = set[Gpu](), list[int]()

    def use(count: int) -> None:
        with leases.take(Request(gpus=count), me()) as lease:
            assert not using.intersection(lease.gpus)
            using.update(lease.gpus)
            most.append(len(using))
            time.sleep(0.002)
            using.difference_update(lease.gpus)

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(use, [1, 2, 4, 1, 3, 2] * 5))
    assert len(most) == 30
    assert max(most) <= 4
    assert (holders(leases), leases.waiting()) == ({}, [])


def test_first_come_is_first_served_also_where_fewer_would_do_for_the_next(leases: Leases) -> None:
    order = list[int]()

    def use(count: int) -> None:
        with leases.take(Request(gpus=count), me()):
            order.append(count)

    with ThreadPoolExecutor(3) as threads, leases.take(Request(gpus=2), me()):
        for place, count in enumerate((4, 1, 2), 1):
            threads.submit(use, count)
            until(lambda place=place: len(leases.waiting()) == place)
        assert [str(one.request) for one in leases.waiting()] == ["4 GPUs", "1 GPU", "2 GPUs"]
        assert order == []
    assert order[0] == 4


def test_cores_are_not_kept_waiting_by_gpus_nor_one_gpu_by_another(leases: Leases) -> None:
    first, second = (Leases(Inventory(gpus, 4), leases.folder) for gpus in (GPUS[:1], GPUS[1:]))
    stop = threading.Event()
    with ThreadPoolExecutor(1) as threads, first.take(Request(gpus=1), me()):
        waiter = threads.submit(first.take, Request(gpus=1), me(), stop.is_set)
        until(lambda: bool(leases.waiting()))
        second.take(Request(gpus=3, cores=4), me(), once()).release()
        with pytest.raises(Withdrawn):
            leases.take(Request(gpus=1), me(), once())  # it could take the one that is waited for
        stop.set()
        assert isinstance(waiter.exception(), Withdrawn)
    assert leases.waiting() == []


def test_who_waits_is_told_who_has_what(leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recurra.devices.waits.FIRST_WORD", 0)
    lines = list[str]()
    with (
        leases.take(Request(gpus=3, cores=1), me()),
        leases.take(Request(gpus=1), me("two\nlines\x1b[31m")),
        pytest.raises(Withdrawn),
    ):
        leases.take(Request(gpus=2), me(), lambda: len(lines) > 0, lines.append)
    assert len(lines) == 1
    start = f"waiting for 2 GPUs: train of happy-cat (process {os.getpid()}) has 3 GPUs for "
    assert lines[0].startswith(start)
    assert "; two?lines?[31m of happy-cat" in lines[0]


def test_the_word_about_a_wait_comes_once_and_then_each_minute(leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("recurra.devices.waits.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("recurra.devices.waits.time.sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    told = list[float]()
    with leases.take(Request(gpus=4), me()), pytest.raises(Withdrawn):
        leases.take(Request(gpus=1), me(), lambda: clock[0] > 130, lambda line: told.append(clock[0]))
    assert told == pytest.approx([2, 62, 122], abs=0.7)


# How holders end


def test_a_race_of_processes_that_are_killed_on_the_way_ends_with_all_free_and_no_overlap(tmp_path: Path) -> None:
    script = Path(__file__).with_name("lease_race.py")
    arguments = [sys.executable, str(script), str(tmp_path), "8", "8", "6"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    begun, killed = found.pop("begun"), found.pop("killed")
    assert found == {"overlaps": 0, "held": 0, "waiting": 0}
    assert begun >= 64
    assert killed > 0


def test_a_worker_keeps_the_units_of_an_owner_that_was_killed_and_frees_them_whoever_else_was_started(
    leases: Leases, other: Callable
) -> None:
    owner = other("""
lease = leases.take(Request(gpus=2), holder)
worker = subprocess.Popen(["sleep", "60"], pass_fds=lease.descriptors, stdout=subprocess.DEVNULL)
bystander = subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
Path(sys.argv[1], "pids").write_text(f"{worker.pid} {bystander.pid}")
print(flush=True)
time.sleep(60)
""")
    worker, bystander = map(int, (leases.folder / "pids").read_text().split())
    try:
        owner.kill()
        owner.wait()
        held = [one.holder for one in leases.holdings() if one.holder]
        assert [(holder.pid, holder.lives) for holder in held] == [(owner.pid, False)] * 2
        os.kill(worker, signal.SIGKILL)
        until(lambda: not holders(leases))
        os.kill(bystander, 0)
    finally:
        os.kill(bystander, signal.SIGKILL)


def test_a_forked_copy_of_the_owner_holds_nothing_and_frees_nothing(leases: Leases, other: Callable) -> None:
    owner = other("""
lease = leases.take(Request(gpus=2), holder)
other_end, end = os.pipe()
copy = os.fork()
if not copy:
    lease.release()
    assert lease.descriptors == ()
    os.close(other_end)
    os.write(end, b"x")
    time.sleep(60)
os.read(other_end, 1)
Path(sys.argv[1], "copy").write_text(str(copy))
print(flush=True)
time.sleep(60)
""")
    copy = int((leases.folder / "copy").read_text())
    try:
        assert len(holders(leases)) == 2
        owner.kill()
        owner.wait()
        assert holders(leases) == {}
    finally:
        os.kill(copy, signal.SIGKILL)


def test_a_waiting_process_that_was_killed_keeps_nobody_waiting(leases: Leases, other: Callable) -> None:
    with leases.take(Request(gpus=2), me()):
        waiter = other("print(flush=True); leases.take(Request(gpus=4), holder)")
        until(lambda: bool(leases.waiting()))
        waiter.kill()
        waiter.wait()
        (leases.folder / "new-0123456789abcdef").touch()  # killed a moment before
        leases.take(Request(gpus=2), me(), once()).release()
    assert not [path for path in leases.folder.iterdir() if path.name.startswith(("ticket", "new"))]


def test_a_gate_is_open_again_when_who_stood_in_it_is_killed(leases: Leases, other: Callable) -> None:
    keeper = other("""
from recurra.devices import lock_files
Path(sys.argv[1]).mkdir()
lock_files.take(Path(sys.argv[1], "gate"))
print(flush=True)
time.sleep(60)
""")
    with pytest.raises(Withdrawn):
        leases.take(Request(gpus=1), me(), once())
    keeper.kill()
    leases.take(Request(gpus=1), me()).release()


# Files


def test_a_lease_leaves_no_descriptor_and_no_ticket_open_and_none_is_inherited(leases: Leases) -> None:
    before = descriptors()
    with leases.take(Request(2, 2), me()) as lease:
        assert len(lease.descriptors) == 5
        assert not any(map(os.get_inheritable, lease.descriptors))
        with pytest.raises(Withdrawn):
            leases.take(Request(gpus=4), me(), once())
        lease.release()
        with leases.take(Request(2, 2), me()) as again:
            lease.release()
            assert len(holders(leases)) == 4
            assert lease.descriptors == ()
    assert again.descriptors == ()
    assert descriptors() == before


def test_the_folder_is_everyones_to_write_to_and_nobodys_to_clear(leases: Leases) -> None:
    umask = os.umask(0o077)
    try:
        leases.take(Request(1, 1), me()).release()
    finally:
        os.umask(umask)
    assert leases.folder.stat().st_mode & 0o7777 == 0o1777
    assert {path.name: path.stat().st_mode & 0o777 for path in leases.folder.iterdir()} == {
        "gate": 0o666,
        "gpu-gpu%2F0": 0o666,
        "core-0": 0o666,
    }


@ROOT
def test_users_share_the_leases(leases: Leases, other: Callable) -> None:
    with leases.take(Request(gpus=4), me()):
        stranger = other("""
os.umask(0o077)
os.setuid(65534)
print([one.holder.what for one in leases.holdings() if one.kind == "gpu"], flush=True)
leases.take(Request(gpus=4, cores=1), holder)
print("taken", flush=True)
time.sleep(60)
""")
        until(lambda: bool(leases.waiting()))
    assert stranger.stdout.readline() == "taken\n"
    assert set(holders(leases).values()) == {"theirs"}
    stranger.kill()
    stranger.wait()
    leases.take(Request(gpus=4, cores=4), me()).release()


def _a_file(folder: Path) -> None:
    folder.write_text("")


def _a_link(folder: Path) -> None:
    folder.with_name("elsewhere").mkdir()
    folder.symlink_to(folder.with_name("elsewhere"))


def _unit_is_a_link(folder: Path) -> None:
    folder.mkdir()
    folder.with_name("precious").write_text("precious")
    (folder / "gpu-gpu%2F0").symlink_to(folder.with_name("precious"))


def _unit_is_a_pipe(folder: Path) -> None:
    folder.mkdir()
    os.mkfifo(folder / "gpu-gpu%2F0")


@pytest.mark.parametrize("trap", [_a_file, _a_link, _unit_is_a_link, _unit_is_a_pipe])
def test_a_folder_that_is_not_as_it_should_be_is_named_and_nothing_in_it_is_followed(
    trap: Callable[[Path], None], leases: Leases
) -> None:
    trap(leases.folder)
    with pytest.raises(InputError, match=rf"{leases.folder}.*cannot be used for leases.*RECURRA_LEASES"):
        leases.take(Request(gpus=1), me())
    beside = leases.folder.parent
    if (beside / "precious").exists():
        assert (beside / "precious").read_text() == "precious"
    if (beside / "elsewhere").exists():
        assert not list((beside / "elsewhere").iterdir())


@pytest.mark.parametrize("where", ["rename", "pwrite"])
def test_a_full_disk_is_told_and_leaves_nothing_held(
    where: str, leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = descriptors()
    with monkeypatch.context() as patch:
        patch.setattr(os, where, full)
        with pytest.raises(RecurraError, match=r"No space left.*RECURRA_LEASES") as told:
            leases.take(Request(gpus=1), me())
    assert not isinstance(told.value, InputError)
    assert descriptors() == before
    leases.take(Request(gpus=4), me(), once()).release()


@ROOT
def test_a_folder_that_may_only_be_read_is_told_and_can_be_looked_at(leases: Leases, other: Callable) -> None:
    with leases.take(Request(gpus=1), me()):
        leases.folder.chmod(0o755)
        stranger = other("""
os.setuid(65534)
print(len([one for one in leases.holdings() if one.holder]), flush=True)
try:
    leases.take(Request(gpus=2), holder)
except Exception as error:
    print(type(error).__name__, error, flush=True)
""")
    said = stranger.stdout.readline()
    assert said.startswith(f"InputError {leases.folder}")
    assert "RECURRA_LEASES" in said


def test_a_lock_file_that_was_removed_is_made_again(leases: Leases) -> None:
    leases.take(Request(gpus=4), me()).release()
    for path in leases.folder.iterdir():
        path.unlink()
    with leases.take(Request(gpus=4), me()):
        assert len(holders(leases)) == 4


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"pid": "x"}', '{"pid": 1e999, "since": 0}', "[" * 9999])
def test_a_damaged_record_hides_who_holds_a_unit_and_not_that_it_is_held(text: str, leases: Leases) -> None:
    with leases.take(Request(gpus=1), me()):
        (leases.folder / "gpu-gpu%2F0").write_text(text)
        assert holders(leases) == {"gpu/0": "somebody"}
        with pytest.raises(Withdrawn):
            leases.take(Request(gpus=4), me(), once())


def test_looking_changes_nothing(leases: Leases) -> None:
    assert holders(leases) == {}
    assert leases.waiting() == []
    assert not leases.folder.exists()


def test_the_folder_is_the_setting_or_one_for_all_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECURRA_DEVICES", "pretend:2")
    monkeypatch.setenv("RECURRA_LEASES", str(tmp_path / "mine"))
    assert Leases.of_this_machine().folder == tmp_path.resolve() / "mine"
    assert len(Leases.of_this_machine().inventory.gpus) == 2
    monkeypatch.delenv("RECURRA_LEASES")
    assert Leases.of_this_machine().folder == Path(tempfile.gettempdir()).resolve() / "recurra-leases"
