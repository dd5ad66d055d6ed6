"""Full memory, told in recurra's words in place of PyTorch's, and given back so that less can be tried at once."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from functools import wraps
from traceback import clear_frames
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import torch

from recurra.errors import DeviceMemoryError

P = ParamSpec("P")
R = TypeVar("R")
# Of PyTorch's allocator on the CPU, of CUDA itself, and of its libraries: each has an error of its own.
_FULL = re.compile(r"can't allocate memory|out of memory|_ALLOC_FAILED|bad_alloc", re.IGNORECASE)
_ASKED = re.compile(r"allocate ([\d.]+ \w+)")


class OnDevice(Protocol):
    """What computes on a device."""

    device: torch.device


Self = TypeVar("Self", bound=OnDevice)


def telling_memory(method: Callable[Concatenate[Self, P], R]) -> Callable[Concatenate[Self, P], R]:
    """The method of what is on a device, which raises a DeviceMemoryError where the device's memory is full."""

    @wraps(method)
    def told(self: Self, *args: P.args, **kwargs: P.kwargs) -> R:
        return within_memory(self.device, method, self, *args, **kwargs)

    return told


def within_memory(device: torch.device, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What the call returns; a DeviceMemoryError naming the device where its memory is full.

    A call rather than a `with`: an error keeps the frames that it passed alive, and they keep their tensors. The call's
    are cleared; those of a block would still be at work.
    """
    try:
        return call(*args, **kwargs)
    except (RuntimeError, MemoryError) as error:  # PyTorch's own out-of-memory error is a RuntimeError
        if not (isinstance(error, MemoryError) or _FULL.search(str(error))):
            raise
        line = _line(device, error)
        clear_frames(error.__traceback__)
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    raise DeviceMemoryError(line)


def _line(device: torch.device, error: Exception) -> str:
    text = str(error)
    of_host = device.type == "cpu" or isinstance(error, MemoryError) or "CPUAllocator" in text
    asked = _ASKED.search(text)
    more = f" ({asked[1]} more were asked for)" if asked else ""
    return f"device {'cpu' if of_host else f'gpu:{device.index}'}: out of memory{more}"


def forget_peak(device: torch.device) -> None:
    """Has `peak` count from now on."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: torch.device) -> int | None:
    """The most bytes that this process's tensors took on a GPU at once; None of the CPU, and of a GPU without any."""
    return torch.cuda.max_memory_allocated(device) or None if device.type == "cuda" else None
