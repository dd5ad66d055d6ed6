"""What NVML, the driver's own library, says about the GPUs. It needs no CUDA and takes no memory on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from recurra.devices.gpu import Gpu


@dataclass(frozen=True)
class Board:
    """One GPU as the driver counts them, and what a process can use of it."""

    uuid: str
    parts: tuple[Gpu, ...]
    """Itself; or, where MIG is on, its instances."""
    old_names: dict[str, Gpu] = field(default_factory=dict)
    """Instances by the names that they had before driver 470: MIG-GPU-<uuid>/<GPU instance>/<compute instance>."""


def boards() -> tuple[Board, ...]:
    """The GPUs that this process may open, in NVML's order; none without a driver."""
    try:
        import pynvml
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError, pynvml.NVMLLibraryMismatchError):
        return ()
    try:
        return tuple(_boards(pynvml))
    except pynvml.NVMLError:
        return ()
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _boards(nvml: Any) -> Iterator[Board]:
    for index in range(nvml.nvmlDeviceGetCount()):
        with suppress(nvml.NVMLError):  # not ours to open, or lost: CUDA has no such GPU
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            uuid = nvml.nvmlDeviceGetUUID(handle)
            if not _is_divided(nvml, handle):
                yield Board(uuid, (_gpu(nvml, handle),))
                continue
            instances = list(_instances(nvml, handle))
            yield Board(uuid, tuple(gpu for _, gpu in instances), dict(_old_names(nvml, uuid, instances)))


def _gpu(nvml: Any, handle: Any) -> Gpu:
    uuid = nvml.nvmlDeviceGetUUID(handle)
    memory = None
    with suppress(nvml.NVMLError):  # where it shares the processor's memory
        memory = int(nvml.nvmlDeviceGetMemoryInfo(handle).total)
    return Gpu(uuid, uuid, nvml.nvmlDeviceGetName(handle), memory)


def _is_divided(nvml: Any, handle: Any) -> bool:
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError:  # most GPUs cannot be divided
        return False
    return current == nvml.NVML_DEVICE_MIG_ENABLE


def _instances(nvml: Any, handle: Any) -> Iterator[tuple[Any, Gpu]]:
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with suppress(nvml.NVMLError):  # not every place is taken
            instance = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
            yield instance, _gpu(nvml, instance)


def _old_names(nvml: Any, uuid: str, instances: list[tuple[Any, Gpu]]) -> Iterator[tuple[str, Gpu]]:
    for instance, gpu in instances:
        with suppress(nvml.NVMLError):
            of_gpu, of_compute = (
                nvml.nvmlDeviceGetGpuInstanceId(instance),
                nvml.nvmlDeviceGetComputeInstanceId(instance),
            )
            yield f"MIG-{uuid}/{of_gpu}/{of_compute}", gpu
