"""Full memory, told in recurra's words in place of XLA's, and given back so that less can be tried at once."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from functools import wraps
from traceback import clear_frames
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from recurra.errors import DeviceMemoryError

from recurra_jax.devices import device_name
from recurra_jax.framework import JaxDevice, jax

P = ParamSpec("P")
R = TypeVar("R")
# Of XLA's allocators, and of CUDA and its libraries, whose errors come as they are.
_FULL = re.compile(r"RESOURCE_EXHAUSTED|out of memory|_ALLOC_FAILED", re.IGNORECASE)
_ASKED = re.compile(r"allocat\w+ ([\d.]+ ?\w+)")
_peaks: dict[JaxDevice, int] = {}
"""Of each GPU, the peak of this process when a network was last built on it."""


class OnDevice(Protocol):
    """What computes on a device."""

    device: JaxDevice


Self = TypeVar("Self", bound=OnDevice)


def telling_memory(method: Callable[Concatenate[Self, P], R]) -> Callable[Concatenate[Self, P], R]:
    """The method of what is on a device, which raises a DeviceMemoryError where the device's memory is full."""

    @wraps(method)
    def told(self: Self, *args: P.args, **kwargs: P.kwargs) -> R:
        return within_memory(self.device, method, self, *args, **kwargs)

    return told


def within_memory(device: JaxDevice, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What the call returns; a DeviceMemoryError naming the device where its memory is full.

    An error keeps the frames that it passed alive, and they keep their arrays: the call's are cleared.
    """
    try:
        return call(*args, **kwargs)
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        if not (isinstance(error, MemoryError) or _FULL.search(str(error))):
            raise
        line = _line(device, error)
        clear_frames(error.__traceback__)
    gc.collect()
    raise DeviceMemoryError(line)


def _line(device: JaxDevice, error: Exception) -> str:
    # NumPy's MemoryError is of arrays on their way: the machine's memory, whatever the device.
    name = "cpu" if isinstance(error, MemoryError) else device_name(device)
    asked = _ASKED.search(str(error))
    return f"device {name}: out of memory{f' ({asked[1]} more were asked for)' if asked else ''}"


def remember_peak(device: JaxDevice) -> None:
    """Has `peak` count from now on."""
    _peaks[device] = _process_peak(device) or 0


def peak(device: JaxDevice) -> int | None:
    """The most bytes of a GPU in use at once since `remember_peak`; None of the CPU, and where JAX cannot tell.

    JAX has no way to begin a peak anew: one that did not rise since belongs to an earlier network.
    """
    found = _process_peak(device)
    return found if found and found > _peaks.get(device, 0) else None


def _process_peak(device: JaxDevice) -> int | None:
    return (device.memory_stats() or {}).get("peak_bytes_in_use") if device.platform != "cpu" else None
