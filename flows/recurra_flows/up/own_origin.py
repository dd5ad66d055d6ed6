"""Prefect's pages talk to the server that they came from, and to nobody else.

They hold the client of a tracker, and look for releases elsewhere; a browser refuses both where a page's policy does.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

from recurra_flows.up.doorkeeper import App, Receive, Scope, Send

_HOST = re.compile(rb"[A-Za-z0-9.:_\[\]-]+")


class OwnOrigin:
    """An ASGI application: what `app` answers, its pages with a policy that lets them connect to their own origin."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers as `app` does."""

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and _is_page(message):
                message["headers"] = [*message["headers"], (b"content-security-policy", _policy(scope))]
            await send(message)

        await self.app(scope, receive, guarded if scope["type"] == "http" else send)


def _is_page(message: MutableMapping[str, Any]) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in message.get("headers", ())
    )


def _policy(scope: Scope) -> bytes:
    host = next((value for name, value in scope["headers"] if name.lower() == b"host"), b"")
    # Not every browser takes 'self' for a web socket's origin.
    sockets = b" ws://%b wss://%b" % (host, host) if _HOST.fullmatch(host) else b""
    return b"connect-src 'self'%b" % sockets
