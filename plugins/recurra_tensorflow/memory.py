"""Full memory, told in recurra's words in place of TensorFlow's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from recurra.errors import DeviceMemoryError
from recurra_tensorflow.devices import device_name
from recurra_tensorflow.framework import tf

# Of CUDA, of its libraries, and of a copy to a GPU; each comes as another error than TensorFlow's own.
_FULL = re.compile(r"out of memory|_ALLOC_FAILED|Dst tensor is not initialized", re.IGNORECASE)
_ASKED = re.compile(r"tensor with shape(\[[\d,]*\]) and type (\w+) on \S*(/device:\w+:\d+)")


@contextmanager
def telling_memory(*devices: str) -> Iterator[None]:
    """Raises a DeviceMemoryError of one line where the memory of one of TensorFlow's `devices` is full."""
    try:
        yield
    except MemoryError as error:  # NumPy's, of arrays on their way: the machine's memory, whatever the device
        raise DeviceMemoryError("device cpu: out of memory") from error
    except tf.errors.OpError as error:
        if not (isinstance(error, tf.errors.ResourceExhaustedError) or _FULL.search(str(error))):
            raise
        raise DeviceMemoryError(_line(devices, str(error))) from error


def _line(devices: tuple[str, ...], told: str) -> str:
    asked = _ASKED.search(told)
    if asked is None:
        return f"device {', '.join(dict.fromkeys(map(device_name, devices)))}: out of memory"
    shape, kind, device = asked.groups()
    return f"device {device_name(device)}: out of memory (for {kind} {shape.replace(',', ', ')})"
