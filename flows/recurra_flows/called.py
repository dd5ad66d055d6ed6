"""The process of somebody's function: `python -m recurra_flows.called DESCRIPTOR`.

Reads one call from standard input, makes it, and answers with what it came to. Imports little: what the function needs
is imported with it. Frames both ways: 8 bytes of length, then a pickle, from and to the process that started this one.
"""

from __future__ import annotations

import atexit
import builtins
import inspect
import io
import logging
import os
import pickle
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import CodeType
from typing import Any, BinaryIO

from recurra_flows.lifeline import follow


def frame(payload: bytes) -> bytes:
    """The payload with its length before it."""
    return len(payload).to_bytes(8, "big") + payload


def read_frame(stream: io.BufferedReader) -> bytes | None:
    """The next payload; None where the stream ends, also within it."""
    head = stream.read(8)
    payload = stream.read(int.from_bytes(head, "big")) if len(head) == 8 else b""
    return payload if len(head) == 8 and len(payload) == int.from_bytes(head, "big") else None


class Answers:
    """Sends what happens, from any thread of this process."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._lock = stream, threading.Lock()

    def send(self, kind: str, payload: Any) -> None:
        """A `log` record's fields, a `print`ed text, or how it ended: `result` or `error`."""
        data = frame(pickle.dumps((kind, payload)))
        with self._lock:
            self._stream.write(data)
            self._stream.flush()


class Forwarding(logging.Handler):
    """Sends log records."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self.answers = answers

    def emit(self, record: logging.LogRecord) -> None:
        """The record as plain text and numbers: its arguments may be anything."""
        try:
            fields: dict[str, Any] = {
                name: value for name, value in vars(record).items() if isinstance(value, (str, int, float))
            }
            fields["msg"], fields["args"] = record.getMessage(), None
            if record.exc_info:
                fields["exc_text"] = logging.Formatter().formatException(record.exc_info)
            self.answers.send("log", fields)
        except Exception:
            self.handleError(record)


def main() -> None:
    """Makes the one call."""
    given = _standard_input()
    answers = Answers(os.fdopen(int(sys.argv[1]), "wb"))
    surroundings, call, context = (read_frame(given) for _ in range(3))
    if surroundings is None or call is None or context is None:
        os._exit(1)  # nobody wants it any more
    follow(given)
    ended = _ended(pickle.loads(surroundings), call, context, answers)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError, ValueError):  # a full disk, or the function has closed it
                stream.flush()
    answers.send(*ended)  # whoever reads it ends this process
    os._exit(0)


def _standard_input() -> io.BufferedReader:
    """What this process is told, which is its lifeline; the function and its children have an empty standard input."""
    given = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return given


def _ended(surroundings: dict[str, Any], call: bytes, context: bytes, answers: Answers) -> tuple[str, Any]:
    try:
        _settle(surroundings, answers)
        function, args, kwargs = pickle.loads(call)
        with _run_context(function, args, kwargs, context, answers):
            value = _value(function, args, kwargs)
        ended = "result", _pickled(value)
    except BaseException as error:
        text = "".join(traceback.format_exception(type(error), error, _without_ours(error)))
        ended = "error", (_pickled_error(error), f"{type(error).__name__}: {error}", text)
    atexit._run_exitfuncs()  # writers and loggers that wait for the end; the rest of an interpreter's end is of no use
    return ended


def _settle(surroundings: dict[str, Any], answers: Answers) -> None:
    """Where modules are found, what is logged and where printed lines go: as in the process that calls."""
    sys.path[:] = surroundings["path"]
    logging.getLogger().addHandler(Forwarding(answers))
    for name, level in surroundings["levels"].items():
        logging.getLogger(name or None).setLevel(level)
    if surroundings["prints"]:
        builtins.print = _printing(builtins.print, answers)


def _printing(own: Callable[..., None], answers: Answers) -> Callable[..., None]:
    """`print`, whose lines for standard output and error are sent (as Prefect's log_prints takes them)."""

    def printing(*values: object, file: Any = None, **options: Any) -> None:
        if file not in (None, sys.stdout, sys.stderr):
            own(*values, file=file, **options)
            return
        text = io.StringIO()
        own(*values, file=text, **{**options, "flush": False})
        answers.send("print", text.getvalue())

    return printing


def _value(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not inspect.iscoroutinefunction(function):
        return function(*args, **kwargs)
    import asyncio

    return asyncio.run(function(*args, **kwargs))


@contextmanager
def _run_context(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], context: bytes, answers: Answers
) -> Iterator[None]:
    """Prefect's context of the task run, for a function that uses Prefect; its import is not paid for others."""
    if not context or ("prefect" not in sys.modules and not _imports_prefect(function)):
        yield
        return
    from prefect.context import hydrated_context

    known = pickle.loads(context)
    known["task_run_context"]["parameters"] = dict(inspect.signature(function).bind(*args, **kwargs).arguments)
    with hydrated_context(known):
        _only_forward(answers)
        yield


def _only_forward(answers: Answers) -> None:
    """Undoes the logging that Prefect sets up: in the process that calls, its handlers see each record, once."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "prefect":
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = [], True
    logging.getLogger().handlers = [Forwarding(answers)]


def _imports_prefect(function: Callable[..., Any]) -> bool:
    def within(code: CodeType) -> bool:
        inner = (const for const in code.co_consts if isinstance(const, CodeType))
        return any(name.partition(".")[0] == "prefect" for name in code.co_names) or any(map(within, inner))

    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and within(code)


def _pickled(value: Any) -> bytes:
    import cloudpickle

    try:
        return cloudpickle.dumps(value)
    except Exception as error:
        kind = type(value).__qualname__
        raise TypeError(f"what it returned ({kind}) cannot be sent to another process: {error}") from error


def _pickled_error(error: BaseException) -> bytes | None:
    """The exception; None where it does not survive the way."""
    import cloudpickle

    try:
        data = cloudpickle.dumps(error)
        pickle.loads(data)
    except Exception:
        return None
    return data


def _without_ours(error: BaseException) -> Any:
    """The traceback from the function on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__ and trace.tb_next is not None:
        trace = trace.tb_next
    return trace


if __name__ == "__main__":
    main()
