"""The connection to a Ray cluster that somebody else has started."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from recurra.errors import InputError, RecurraError

PATIENCE = 90.0
"""Seconds for a cluster to let us in; Ray itself tries for ten minutes and longer."""
KNOCK = 10.0
"""Seconds for its port to answer."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nobody is told
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # without it Ray warns of what it will do one day
}
_BUSY = "Starting Ray client server failed"
"""Of a head that took half a minute to start the process that serves a client; the second time it is quicker."""
TELL = 5.0
"""Seconds until it is said that we wait for it."""
FORMS = "ray://HOST:10001, HOST:6379 on a node of the cluster, or `auto` for the one that this machine is part of"


@contextmanager
def connected(address: str | None, told: Callable[[str], None]) -> Iterator[None]:
    """Within the block this process is connected to the cluster, whose address RAY_ADDRESS has where none is given.
    `told` is told of a long wait for it.

    An InputError where none is named, where the address is malformed, or without the package; a RecurraError where
    nobody answers there, or only another version of Ray or Python.
    """
    at = checked(address)
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    # Read when Ray is imported. Otherwise whatever is asked of a lost connection starts a Ray of this machine's own.
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    import ray

    try:
        _enter(at, told)
        _restore(handlers)
        yield
    finally:
        ray.shutdown()


def checked(address: str | None) -> str:
    """The cluster's address, where somebody answers; raises as `connected` does. Imports no Ray."""
    missing = [name for name in ("ray", "prefect_ray") if find_spec(name) is None]
    if missing:
        raise InputError(f'--runner ray: {" and ".join(missing)} not installed: pip install "recurra[ray]"')
    option = "--address"
    if address in (None, "", "auto"):  # Ray's own rule: the variable goes before `auto`
        option, address = "RAY_ADDRESS", os.environ.get("RAY_ADDRESS") or address
    if not address:
        raise InputError(
            f"--runner ray: which cluster? --address (or RAY_ADDRESS) names it: {FORMS}. Without one, leave --runner"
            " out: a single machine needs no Ray"
        )
    if address == "auto":
        return address
    if not re.fullmatch(r"(ray://)?(\[[0-9a-fA-F:.]+\]|[^\s:/]+):\d{1,5}", address):
        raise InputError(f"{option} {address}: expected {FORMS}")
    _knock(address)
    return address


def _knock(address: str) -> None:
    """Says at once that nobody is there; Ray would try for a minute."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK).close()
    except (OSError, OverflowError) as error:
        raise RecurraError(f"no Ray cluster answers at {address} ({error})") from None


def _enter(address: str, told: Callable[[str], None]) -> None:
    """Connects, from a thread of its own: it may never come back."""
    import ray
    from prefect_ray import RayTaskRunner

    quiet = {"log_to_driver": False, "logging_level": "CRITICAL"}
    raised: list[BaseException] = []
    came = threading.Event()

    def enter() -> None:
        try:
            if address == "auto":
                # RayTaskRunner would start a Ray where there is none. Ray itself refuses; the runner then takes what
                # is there.
                ray.init("auto", **quiet)
            try:
                RayTaskRunner(address, quiet).__enter__()
            except ConnectionError as error:
                if _BUSY not in str(error):
                    raise
                ray.shutdown()
                RayTaskRunner(address, quiet).__enter__()
        except BaseException as error:
            raised.append(error)
        came.set()

    threading.Thread(target=enter, name="to the Ray cluster", daemon=True).start()
    if not came.wait(TELL):
        told(f"connecting to the Ray cluster at {address} ...")
    if not came.wait(PATIENCE):
        raise RecurraError(
            f"the Ray cluster at {address} does not let this process in; after {PATIENCE:.0f} s it was"
            " given up. Is the address right, and reachable from here?"
        )
    if raised:
        raise _refusal(address, raised[0]) from raised[0]


def _refusal(address: str, error: BaseException) -> RecurraError:
    whole = str(error).strip()
    # The head's own traceback comes with what it refuses; its last line says why.
    said = whole.splitlines()[-1] if "Traceback (most recent call last)" in whole else whole
    text = " ".join(said.split())[:400] or type(error).__name__
    hint = "" if address.startswith("ray://") else "; a machine that is no node of the cluster connects with ray://"
    return RecurraError(f"the Ray cluster at {address} cannot be used: {text}{hint}")


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    """Ray takes signals for itself; how this process ends is its own affair."""
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            if handler is not None:
                signal.signal(number, handler)
