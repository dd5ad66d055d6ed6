"""Somebody's function in a process of its own: what it logs and prints, returns and raises comes back here."""

from __future__ import annotations

import logging
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import cloudpickle
from prefect import get_run_logger
from prefect.context import SettingsContext, TagsContext, TaskRunContext

from recurra.errors import InputError, RecurraError
from recurra_flows.called import frame, read_frame
from recurra_flows.worker_process import outcome, send, worker_process
from recurra_flows.workers import lost


def call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the function returns, called in a fresh process from within a task run.

    What it raises is raised here, with its traceback as a note. WorkerLostError where the process dies; InputError
    where the function or its arguments cannot be sent.
    """
    name = getattr(function, "__name__", "the task")
    blocks = [pickle.dumps(_surroundings()), _sent(name, function, args, kwargs), _context(function)]
    with worker_process("recurra_flows.called") as (process, answers):
        send(process, [frame(block) for block in blocks])
        while (data := read_frame(answers)) is not None:
            kind, payload = pickle.loads(data)
            if kind == "result":
                return pickle.loads(payload)
            if kind == "error":
                raise _error(name, *payload)
            _replay(kind, payload)
        raise lost(name, outcome(process))


def _surroundings() -> dict[str, Any]:
    levels = {name: logger.level for name, logger in _loggers() if logger.level}
    context = TaskRunContext.get()
    return {"path": sys.path, "levels": levels, "prints": context is not None and context.log_prints}


def _loggers() -> Iterator[tuple[str, logging.Logger]]:
    yield "", logging.getLogger()
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger):
            yield name, logger


def _sent(name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    with _by_value(function):
        try:
            return cloudpickle.dumps((function, args, kwargs))
        except Exception as error:
            line = " ".join(str(error).split())
            what = "the function" if _fails(function) else "an argument"
            raise InputError(f"task {name}: {what} cannot be sent to a process of its own ({line})") from error


def _fails(value: Any) -> bool:
    try:
        cloudpickle.dumps(value)
    except Exception:
        return True
    return False


_pickling = threading.Lock()


@contextmanager
def _by_value(function: Callable[..., Any]) -> Iterator[None]:
    """Within the block, what is in the function's module is sent whole where the other process cannot import it."""
    module = sys.modules.get(function.__module__)
    if module is None or module.__name__ == "__main__" or _importable(module.__name__):
        yield
        return
    with _pickling:  # what is registered is so for all threads
        cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            cloudpickle.unregister_pickle_by_value(module)


def _importable(name: str) -> bool:
    """Whether a fresh process finds a module of that name; that it is loaded here (by its path, say) is not enough."""
    parent = name.rpartition(".")[0]
    path = getattr(sys.modules.get(parent), "__path__", None)
    if parent and path is None:
        return False
    return any(finder.find_spec(name, path) is not None for finder in sys.meta_path)


def _context(function: Callable[..., Any]) -> bytes:
    """Prefect's context of the task run, without what the other process has anyway; nothing where it cannot be sent."""
    context, tags, settings = TaskRunContext.get(), TagsContext.get(), SettingsContext.get()
    if context is None:
        return b""
    task = copy(context.task)
    task.fn = function
    known = {
        "task_run_context": {**context.serialize(), "task": task, "parameters": {}},
        "tags_context": tags.serialize(),
        "settings_context": settings.serialize() if settings else {},
    }
    try:
        return cloudpickle.dumps(known)
    except Exception:
        return b""


def _error(name: str, data: bytes | None, line: str, text: str) -> BaseException:
    try:
        error = pickle.loads(data) if data else RecurraError(f"{name}: {line}")
    except Exception:  # it cannot be made here: what it says is not lost with it
        error = RecurraError(f"{name}: {line}")
    error.add_note(f"In the worker process:\n{text}")
    return error


def _replay(kind: str, payload: Any) -> None:
    """Logs and prints as if the function had, here."""
    if kind == "print":
        print(payload, end="")
        return
    ours = get_run_logger()
    of_run = ours.extra if isinstance(ours, logging.LoggerAdapter) else None
    logger = ours.logger if isinstance(ours, logging.LoggerAdapter) else ours
    logger.handle(logging.makeLogRecord({**payload, **(of_run or {})}))
