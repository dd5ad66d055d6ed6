"""Every Python process of the tests, by PYTHONPATH: it reaches this machine alone.

What would reach further is refused, and written to the file that RECURRA_TEST_CONNECTIONS names: the tests fail then.
"""

from __future__ import annotations

import os
import socket
import sys
from ipaddress import ip_address
from typing import Any

HERE = {"", "localhost", "ip6-localhost", socket.gethostname(), socket.gethostname().partition(".")[0]}
"""Names of this machine."""


def _of_this_machine(host: Any) -> bool:
    name = host.decode(errors="replace") if isinstance(host, bytes) else host
    if name is None or name in HERE:
        return True
    try:
        address = ip_address(str(name).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _host(event: str, args: tuple[Any, ...]) -> Any:
    """The host that an audited call would reach; None where it is none or this machine."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = args[1]
        return address[0] if isinstance(address, tuple) else None
    return args[0]


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event not in ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"):
        return
    host = _host(event, args)
    if _of_this_machine(host):
        return
    # "Connecting" a datagram socket sends nothing: it is how some find out this machine's own address.
    if not (event == "socket.connect" and args[0].type & 0xF == socket.SOCK_DGRAM):
        with open(os.environ["RECURRA_TEST_CONNECTIONS"], "a") as file:  # noqa: PTH123 - each process imports this first
            file.write(f"{event} {host!r} by {' '.join(sys.argv)[:200]} (pid {os.getpid()})\n")
    raise ConnectionRefusedError(f"the tests reach this machine alone, not {host!r}")


if os.environ.get("RECURRA_TEST_CONNECTIONS"):
    sys.addaudithook(_audit)
