"""A lease: units that are held."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Self

from recurra.devices import lock_files
from recurra.devices.gpu import Gpu


class Lease:
    """Units that are held until the end of a with block, or until `release`.

    `environment` is for the process that uses them. `descriptors` are for it too (`Popen(pass_fds=...)`, without
    `preexec_fn`): the units stay held until that process is gone as well, whatever becomes of this one. Nobody else
    inherits them; a forked copy of this process holds nothing.
    """

    def __init__(
        self, gpus: Sequence[Gpu], cores: int, descriptors: Sequence[int], environment: Mapping[str, str]
    ) -> None:
        self.gpus, self.cores = tuple(gpus), cores
        self.environment = dict(environment)
        self._descriptors, self._process, self._guard = tuple(descriptors), os.getpid(), threading.Lock()

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The open lock files; none after `release`, and in a forked copy of the process."""
        return self._descriptors if os.getpid() == self._process else ()

    def release(self) -> None:
        """The units are free again, once no worker holds them. More than once is as good as once."""
        if os.getpid() != self._process:
            return
        with self._guard:
            descriptors, self._descriptors = self._descriptors, ()
        for descriptor in descriptors:
            lock_files.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()
