"""Leases on this machine's units: taken by all of its processes through lock files in one folder."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from recurra.devices import lock_files
from recurra.devices.gpu import Gpu
from recurra.devices.holder import Holder, Holding, decoded, encoded, fields_of
from recurra.devices.inventory import Inventory, inventory
from recurra.devices.lease import Lease
from recurra.devices.lock_files import told
from recurra.devices.queueing import Queue, Ticket, Waiting
from recurra.devices.requests import Request
from recurra.devices.surroundings import enclosing, surroundings
from recurra.devices.waits import Wait
from recurra.devices.words import waiting_line
from recurra.errors import InputError


def _never() -> bool:
    return False


def _silent(line: str) -> None:
    del line


class Leases:
    """The units of an inventory, and who holds them as the lock files in `folder` say."""

    def __init__(self, inventory: Inventory, folder: Path) -> None:
        self.inventory, self.folder = inventory, folder
        self.queue = Queue(folder)

    @classmethod
    def of_this_machine(cls) -> Leases:
        """Those that all processes of the machine share: in the folder RECURRA_LEASES, or one for temporary files."""
        own = os.environ.get("RECURRA_LEASES")
        folder = Path(own).resolve() if own else Path(tempfile.gettempdir()).resolve() / "recurra-leases"
        return cls(inventory(), folder)

    def take(
        self,
        request: Request,
        holder: Holder,
        stop: Callable[[], bool] = _never,
        waiting: Callable[[str], None] = _silent,
    ) -> Lease:
        """What was asked for, all of it, once it is this request's turn.

        InputError at once where this machine can never give it. `waiting` is told, after 2 seconds and then every
        minute, who has what; `stop` is asked several times a second, and ends the wait with Withdrawn. An InputError or
        a RecurraError that names RECURRA_LEASES where the folder cannot be used.
        """
        gpus, cores = request.candidates(self.inventory)
        self._refuse_own(request, gpus, cores)
        units = [*map(_gpu_file, gpus), *map(_core_file, cores)]
        wait = Wait(stop, waiting)
        with ExitStack() as undo:
            folder = self._kept_folder()
            undo.callback(lock_files.close, folder)
            ticket = wait.until(lambda: self._joined(holder, request, units), lambda: self._words(request, 0))
            with ticket:
                taken = wait.until(
                    lambda: self._taken(ticket, request, gpus, cores, holder),
                    lambda: self._words(request, self._ahead(ticket)),
                )
            undo.pop_all()
        return self._lease(taken, folder)

    def holdings(self) -> list[Holding]:
        """Each GPU and each core, and who has it. Changes nothing in the folder."""
        with told(self.folder):
            return [
                *(Holding("gpu", gpu.id, self._holder(_gpu_file(gpu))) for gpu in self.inventory.gpus),
                *(Holding("core", str(core), self._holder(_core_file(core))) for core in self.inventory.core_numbers),
            ]

    def waiting(self) -> list[Waiting]:
        """The requests that wait, in their order."""
        with told(self.folder):
            return self.queue.waiting()

    def _refuse_own(self, request: Request, gpus: Sequence[Gpu], cores: Sequence[int]) -> None:
        # It would wait for itself.
        own_gpus, own_cores = enclosing(self.folder)
        others = sum(gpu.id not in own_gpus for gpu in gpus), sum(core not in own_cores for core in cores)
        if request.gpus > others[0] or request.cores > others[1]:
            raise InputError(
                f"{request} asked for by a task that itself holds {Request(len(own_gpus), len(own_cores))} of them: it"
                " would wait for its own end; take no lease inside a task that has one"
            )

    def _kept_folder(self) -> int:
        with told(self.folder):
            lock_files.make_folder(self.folder)
            return lock_files.keep_folder(self.folder)

    def _joined(self, holder: Holder, request: Request, units: Sequence[str]) -> Ticket | None:
        with told(self.folder):
            return self.queue.join(holder, request, units)

    def _ahead(self, ticket: Ticket) -> int:
        with told(self.folder):
            return ticket.ahead()

    def _taken(
        self, ticket: Ticket, request: Request, gpus: Sequence[Gpu], cores: Sequence[int], holder: Holder
    ) -> _Taken | None:
        with told(self.folder):
            if not ticket.is_first():
                return None
            free_gpus = [gpu for gpu in gpus if self._is_free(_gpu_file(gpu))][: request.gpus]
            free_cores = [core for core in cores if self._is_free(_core_file(core))][: request.cores]
            if len(free_gpus) < request.gpus or len(free_cores) < request.cores:
                return None  # found out by looking, so that nobody sees them held meanwhile
            files = [*map(_gpu_file, free_gpus), *map(_core_file, free_cores)]
            descriptors = self._locked(files, replace(holder, since=time.time()))
            return None if descriptors is None else _Taken(tuple(free_gpus), tuple(free_cores), descriptors)

    def _locked(self, files: Sequence[str], holder: Holder) -> tuple[int, ...] | None:
        """All of the files, or none where somebody was quicker."""
        with ExitStack() as undo:
            descriptors = []
            for file in files:
                descriptor = lock_files.take(self.folder / file)
                if descriptor is None:
                    return None
                undo.callback(lock_files.close, descriptor)
                descriptors.append(descriptor)
            for descriptor in descriptors:
                lock_files.rewrite(descriptor, encoded(holder))
            undo.pop_all()
        return tuple(descriptors)

    def _lease(self, taken: _Taken, folder: int) -> Lease:
        environment = surroundings(self.inventory, self.folder, taken.gpus, taken.cores)
        return Lease(taken.gpus, len(taken.cores), (*taken.descriptors, folder), environment)

    def _is_free(self, file: str) -> bool:
        return lock_files.held_content(self.folder / file) is None

    def _holder(self, file: str) -> Holder | None:
        content = lock_files.held_content(self.folder / file)
        return None if content is None else decoded(fields_of(content))

    def _words(self, request: Request, ahead: int) -> str:
        return waiting_line(request, self.holdings(), ahead)


@dataclass(frozen=True)
class _Taken:
    """Units whose locks are held."""

    gpus: tuple[Gpu, ...]
    cores: tuple[int, ...]
    descriptors: tuple[int, ...]


def _gpu_file(gpu: Gpu) -> str:
    return f"gpu-{quote(gpu.id, safe='')}"


def _core_file(core: int) -> str:
    return f"core-{core}"
