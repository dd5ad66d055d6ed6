"""Arrays in memory that this process and its ranks share: written once, read in place.

The memory has no name, so that nothing of it is left however its processes end; a rank inherits its descriptor.
"""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod

import numpy as np

from recurra.errors import DeviceMemoryError

Places = Mapping[str, tuple[str, list[int], int]]
"""Name -> dtype, shape and first byte of an array in the memory, as JSON has them."""
_ALIGNED = 64


def anonymous_memory() -> int:
    """The descriptor of memory that is empty as yet: on Linux no file at all, elsewhere one without a name."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("recurra")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


@contextmanager
def _telling_memory(size: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOMEM, errno.ENOSPC):
            raise
        line = f"device cpu: out of memory ({size} bytes were asked for, to hand a batch to its devices)"
        raise DeviceMemoryError(line) from None


class SharedArrays:
    """Some arrays at a time, in memory that grows as it must; the next ones that are put take their place."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.memory: mmap.mmap | None = None

    def put(self, arrays: Mapping[str, np.ndarray]) -> Places:
        """Copies the arrays in; says where they are."""
        places: dict[str, tuple[str, list[int], int]] = {}
        end = 0
        for name, array in arrays.items():
            places[name] = (array.dtype.str, list(array.shape), end)
            end += -(-array.nbytes // _ALIGNED) * _ALIGNED
        for name, view in self.views(places).items():
            np.copyto(view, arrays[name])
        return places

    def views(self, places: Places) -> dict[str, np.ndarray]:
        """The arrays where they lie: C-contiguous, and theirs only until others are put."""
        memory = self._mapped(max((start + _bytes(dtype, shape) for dtype, shape, start in places.values()), default=0))
        return {
            name: np.frombuffer(memory, dtype, prod(shape), start).reshape(shape)
            for name, (dtype, shape, start) in places.items()
        }

    def copies(self, places: Places) -> dict[str, np.ndarray]:
        """The arrays, for good."""
        return {name: view.copy() for name, view in self.views(places).items()}

    def give_back(self) -> None:
        """Frees the memory until arrays are put again."""
        self.memory = None
        os.ftruncate(self.descriptor, 0)

    def _mapped(self, size: int) -> mmap.mmap:
        """The first bytes of the memory, `size` of them or more."""
        size = max(_ALIGNED, size)
        with _telling_memory(size):
            self._grow(size)
            if self.memory is None or len(self.memory) < size:
                self.memory = None  # a mapping that arrays still lie in goes when they do
                self.memory = mmap.mmap(self.descriptor, size)
        return self.memory

    def _grow(self, size: int) -> None:
        now = os.fstat(self.descriptor).st_size
        if size > now and hasattr(os, "posix_fallocate"):
            # Memory that is lacking is then told here, and not by a signal later.
            os.posix_fallocate(self.descriptor, now, size - now)
        elif size > now:
            os.ftruncate(self.descriptor, size)


def _bytes(dtype: str, shape: list[int]) -> int:
    return np.dtype(dtype).itemsize * prod(shape)
