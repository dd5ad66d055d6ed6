"""The GPUs and cores that there are: what NVML says, as far as CUDA_VISIBLE_DEVICES and RECURRA_DEVICES allow."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.devices.gpu import Gpu
from recurra.devices.inventory import inventory
from recurra.devices.nvml import Board
from recurra.devices.visible import chosen
from recurra.errors import InputError


class NVMLError(Exception):
    pass


class NVMLLibraryMismatchError(Exception):
    pass


@dataclass(frozen=True)
class Handle:
    """A GPU, or an instance of one; `parts` holds None where an instance could be and is none."""

    uuid: str
    name: str = "NVIDIA H100 80GB HBM3"
    memory: int | None = 80 << 30
    parts: tuple[Handle | None, ...] = ()
    ids: tuple[int, int] = (0, 0)
    divided: bool = False


class Nvml:
    """Answers as the module pynvml does; a GPU that is None may not be opened."""

    NVML_DEVICE_MIG_ENABLE = 1
    NVMLError, NVMLLibraryMismatchError = NVMLError, NVMLLibraryMismatchError

    def __init__(self, *gpus: Handle | None, broken: Exception | None = None) -> None:
        self.gpus, self.broken, self.open = gpus, broken, 0

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's name, as below
        if self.broken:
            raise self.broken
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Handle:  # noqa: N802
        return self._there(self.gpus[index])

    def nvmlDeviceGetUUID(self, handle: Handle) -> str:  # noqa: N802
        return handle.uuid

    def nvmlDeviceGetName(self, handle: Handle) -> str:  # noqa: N802
        return handle.name

    def nvmlDeviceGetMemoryInfo(self, handle: Handle) -> SimpleNamespace:  # noqa: N802
        if handle.memory is None:
            raise NVMLError("Not Supported")
        return SimpleNamespace(total=handle.memory)

    def nvmlDeviceGetMigMode(self, handle: Handle) -> list[int]:  # noqa: N802
        if not handle.parts and not handle.divided:
            raise NVMLError("Not Supported")
        return [int(handle.divided), 1]

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Handle) -> int:  # noqa: N802
        return len(handle.parts)

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Handle, index: int) -> Handle:  # noqa: N802
        return self._there(handle.parts[index])

    def nvmlDeviceGetGpuInstanceId(self, handle: Handle) -> int:  # noqa: N802
        return handle.ids[0]

    def nvmlDeviceGetComputeInstanceId(self, handle: Handle) -> int:  # noqa: N802
        return handle.ids[1]

    @staticmethod
    def _there(handle: Handle | None) -> Handle:
        if handle is None:
            raise NVMLError("Not Found")
        return handle


A, B = Handle("GPU-aaaa-1"), Handle("GPU-aabb-2", memory=None)
PARTS = Handle("MIG-11-x", "NVIDIA H100 MIG 1g.10gb", ids=(7, 0)), None, Handle("MIG-22-y", "NVIDIA H100 MIG 2g.20gb")
DIVIDED = Handle("GPU-cccc-3", parts=PARTS, divided=True)


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECURRA_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def seen(monkeypatch: pytest.MonkeyPatch, nvml: Nvml, visible: str | None = None) -> list[str]:
    """The ids of the GPUs where NVML says this, and CUDA_VISIBLE_DEVICES that."""
    monkeypatch.setitem(sys.modules, "pynvml", nvml)  # type: ignore[arg-type]
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    ids = [gpu.id for gpu in inventory().gpus]
    assert nvml.open == 0
    return ids


def test_each_gpu_is_listed_with_its_name_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(A, B))  # type: ignore[arg-type]
    assert inventory().gpus == (
        Gpu("GPU-aaaa-1", "GPU-aaaa-1", "NVIDIA H100 80GB HBM3", 80 << 30),
        Gpu("GPU-aabb-2", "GPU-aabb-2", "NVIDIA H100 80GB HBM3", None),
    )


@pytest.mark.parametrize("why", [NVMLError("Driver Not Loaded"), NVMLLibraryMismatchError()])
def test_without_a_driver_there_is_no_gpu_and_no_word_about_it(
    why: Exception, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert seen(monkeypatch, Nvml(A, broken=why)) == []
    assert capfd.readouterr() == ("", "")


def test_a_gpu_that_may_not_be_opened_is_passed_over_and_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen(monkeypatch, Nvml(A, None, B)) == ["GPU-aaaa-1", "GPU-aabb-2"]
    assert seen(monkeypatch, Nvml(A, None, B), "1") == ["GPU-aabb-2"]


def test_a_divided_gpu_is_its_instances_and_one_that_can_be_divided_is_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    undivided = Handle("GPU-dddd-4", parts=(None,))
    assert seen(monkeypatch, Nvml(DIVIDED, undivided)) == ["MIG-11-x", "MIG-22-y", "GPU-dddd-4"]
    assert seen(monkeypatch, Nvml(Handle("GPU-eeee-5", divided=True))) == []


@pytest.mark.parametrize(
    ("visible", "ids"),
    [
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("1", ["GPU-aabb-2"]),
        ("1,0", ["GPU-aabb-2", "GPU-aaaa-1"]),
        (" 1 , 0 ", ["GPU-aabb-2", "GPU-aaaa-1"]),
        ("0,7,1", ["GPU-aaaa-1"]),
        ("0,-1,1", ["GPU-aaaa-1"]),
        ("0,,1", ["GPU-aaaa-1"]),
        ("0,1,0", []),
        ("1gpu", ["GPU-aabb-2"]),
        ("GPU-aaaa-1", ["GPU-aaaa-1"]),
        ("GPU-aab,GPU-aaaa", ["GPU-aabb-2", "GPU-aaaa-1"]),
        ("GPU-aa", []),
        ("0,GPU-aa,1", ["GPU-aaaa-1"]),
        ("GPU-none,0", []),
        ("0,GPU-aaaa", []),
        ("2", ["MIG-11-x", "MIG-22-y"]),
        ("2:1", ["MIG-22-y"]),
        ("2:2", []),
        ("GPU-cccc-3", ["MIG-11-x", "MIG-22-y"]),
        ("MIG-22-y", ["MIG-22-y"]),
        ("MIG-1", ["MIG-11-x"]),
        ("MIG-", []),
        ("MIG-GPU-cccc-3/7/0", ["MIG-11-x"]),
        ("MIG-GPU-cccc-3/8/0,0", []),
    ],
)
def test_cuda_visible_devices_means_what_it_means_to_cuda(
    visible: str, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seen(monkeypatch, Nvml(A, B, DIVIDED), visible) == ids


@given(st.text("0123,:- GPUMIG/ab", max_size=30))
def test_whatever_cuda_visible_devices_says_no_gpu_comes_twice(setting: str) -> None:
    gpus = [Gpu(name, name, "", None) for name in ("GPU-a", "GPU-b", "MIG-a", "MIG-b")]
    found = chosen([Board("GPU-a", (gpus[0],)), Board("GPU-b", (gpus[1],)), Board("GPU-c", (*gpus[2:],))], setting)
    assert len(set(found)) == len(found)
    assert set(found) <= set(gpus)


def test_devices_can_be_pretended_or_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_DEVICES", "pretend:3")
    assert seen(monkeypatch, Nvml(A), "0") == ["pretend-0", "pretend-1", "pretend-2"]
    monkeypatch.setenv("RECURRA_DEVICES", "none")
    assert seen(monkeypatch, Nvml(A), "0") == []
    monkeypatch.setenv("RECURRA_DEVICES", "")
    assert seen(monkeypatch, Nvml(A), "0") == ["GPU-aaaa-1"]


@pytest.mark.parametrize("setting", ["all", "pretend", "pretend:", "pretend:0", "pretend:65", "pretend:-1", "4"])
def test_any_other_setting_is_refused_with_what_is_possible(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_DEVICES", setting)
    with pytest.raises(InputError, match=rf"RECURRA_DEVICES={setting}: .*none.*pretend:N"):
        inventory()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="processes cannot be pinned on this system")
def test_cores_are_those_that_this_process_may_use_by_the_systems_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_DEVICES", "none")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {6, 2, 3})
    assert (inventory().cores, inventory().core_numbers) == (3, (2, 3, 6))
