"""Who may talk to the dashboard's server: its own pages and programs, not the pages of other sites.

CSRF tokens and CORS guard requests; a web socket has neither, and a site whose name is pointed at 127.0.0.1 passes
both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Doorkeeper:
    """An ASGI application that passes on what is addressed to one of `names`, and comes from nowhere or from itself.

    Without names it may be addressed by any.
    """

    def __init__(self, app: App, names: Collection[str]) -> None:
        self.app, self.names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 403 to what it does not pass on."""
        if scope["type"] in ("http", "websocket") and not self._admits(_headers(scope)):
            await refuse(scope, send, 403, b"This server answers its own pages alone.\n")
        else:
            await self.app(scope, receive, send)

    def _admits(self, headers: Mapping[str, str]) -> bool:
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.names and _name(host) not in self.names:
            return False
        # Browsers say where a page came from; programs say nothing. Behind a proxy that ends TLS the scheme differs.
        return origin is None or _place(origin) == host


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _place(origin: str) -> str | None:
    """The host and port in an Origin header."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _name(host: str) -> str | None:
    """The name in a Host header, without the port."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


async def refuse(
    scope: Scope, send: Send, status: int, text: bytes, headers: Collection[tuple[bytes, bytes]] = ()
) -> None:
    """Answers a request with a line of text; closes a web socket before it is open, which its caller reads as 403."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    named = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(text)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": named})
    await send({"type": "http.response.body", "body": text if scope["method"] != "HEAD" else b""})
