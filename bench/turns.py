"""Turns: contenders live in processes of their own and train one epoch when they are told to, never two at once."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from bench.contenders import Contender
from bench.scenario import Scenario
from recurra.environment import peak_memory
from recurra.errors import RecurraError

_CPU_ONLY = {"CUDA_VISIBLE_DEVICES": "", "KERAS_TORCH_DEVICE": "cpu"}


class Turns:
    """A contender's side: `begin` waits for the turn and starts the clock, `end` stops it. One epoch lies between."""

    def __init__(self, connection: Connection, epochs: int) -> None:
        self._connection = connection
        self.epochs = epochs
        """How many turns there will be, the warm-up among them."""

    def begin(self) -> None:
        """Returns when it is this contender's turn."""
        self._connection.send("ready")
        self._connection.recv()
        self._start = time.perf_counter()

    def end(self, loss: float) -> None:
        """The epoch is done; `loss` is its mean over the samples."""
        seconds = time.perf_counter() - self._start
        self._connection.send((seconds, float(loss)))


@dataclass(frozen=True)
class Round:
    """What one turn took."""

    seconds: float
    loss: float


class Player:
    """The other side: a contender's process. A context manager, which ends the process."""

    def __init__(self, contender: Contender, device: str) -> None:
        self.contender = contender
        environment = {**(_CPU_ONLY if device == "cpu" else {}), **contender.environment}
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._log = tempfile.NamedTemporaryFile(prefix="recurra-bench-", suffix=".log")  # noqa: SIM115 - closed on exit
        arguments = (theirs, contender.module, environment, self._log.name)
        self._process = context.Process(target=_play, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def prepare(self, scenario: Scenario, epochs: int) -> None:
        """Returns when the contender has made its data and its network and waits for its first turn."""
        self._tell((scenario, epochs))
        self._expect("ready")

    def turn(self, last: bool) -> Round:
        """Lets it train one epoch."""
        self._tell("go")
        done = Round(*self._receive())
        self._expect("done" if last else "ready")
        return done

    def leave(self) -> int:
        """Ends the process in good order: the largest memory that it had, in bytes."""
        self._tell(None)
        peak = self._receive()
        self._process.join()
        return peak

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()
        self._log.close()

    def _tell(self, message: object) -> None:
        with suppress(BrokenPipeError):  # its process ended: receiving says so
            self._connection.send(message)

    def _expect(self, word: str) -> None:
        found = self._receive()
        if found != word:
            raise RecurraError(f"{self.contender.name}: said {found!r} where {word!r} was expected")

    def _receive(self) -> Any:
        try:
            found = self._connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            log = self._log.read().decode(errors="replace")
            raise RecurraError(f"{self.contender.name}: its process ended ({self._process.exitcode}):\n{log}") from None
        if isinstance(found, dict):
            raise RecurraError(f"{self.contender.name} failed:\n{found['failed']}")
        return found


def _play(connection: Connection, module: str, environment: dict[str, str], log: str) -> None:
    """The process of a contender: one scenario after another, until there is none. What it prints goes to `log`."""
    os.environ.update(environment)
    with open(log, "ab") as file:  # noqa: PTH123
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    with suppress(KeyboardInterrupt):
        try:
            run: Callable[[Scenario, Turns], None] = importlib.import_module(module).run
            while (message := connection.recv()) is not None:
                scenario, epochs = message
                run(scenario, Turns(connection, epochs))
                connection.send("done")
            connection.send(peak_memory())
        except Exception:
            connection.send({"failed": traceback.format_exc()})
