"""Serves the files of the store's artifacts beside the dashboard: /recurra/report/STAGE/KEY/report.html."""

from __future__ import annotations

import base64
import hmac
import os
import re
from asyncio import to_thread
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from recurra.store import Store
from recurra_flows.up.doorkeeper import App, Receive, Scope, Send, refuse

PREFIX = "/recurra/report/"
TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".json": b"application/json",
    ".md": b"text/plain; charset=utf-8",
    ".png": b"image/png",
    ".yaml": b"text/plain; charset=utf-8",
}
"""What a browser shows; everything else it saves."""
GUARDS = [
    # A report holds class names and paths that came with the data: it may show itself and do nothing else.
    (b"content-security-policy", b"sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"private, max-age=0"),
]
BLOCK = 1 << 18
_STAGE, _KEY = re.compile(r"[a-z][a-z0-9_-]{0,40}"), re.compile(r"[0-9a-f]{32}")


class Reports:
    """An ASGI application: files of artifacts below PREFIX, and what `app` answers everywhere else.

    Where Prefect's server asks for a login (`user:password`), so does this.
    """

    def __init__(self, app: App, store: Store, login: str | None) -> None:
        self.app, self.store, self.login = app, store, login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers what is below PREFIX."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self.app(scope, receive, send)
        elif not self._known(scope):
            challenge = [(b"www-authenticate", b'Basic realm="recurra", charset="UTF-8"')]
            await refuse(scope, send, 401, b"Log in as on the dashboard.\n", challenge)
        elif scope["method"] not in ("GET", "HEAD"):
            await refuse(scope, send, 405, b"Reports can be read alone.\n", [(b"allow", b"GET, HEAD")])
        elif (opened := await to_thread(_opened, self.store, scope["path"].removeprefix(PREFIX))) is None:
            await refuse(scope, send, 404, b"There is no such report; it may have been cleared.\n")
        else:
            await _send(opened, scope["method"] == "GET", send)

    def _known(self, scope: Scope) -> bool:
        if self.login is None:
            return True
        given = next((value for name, value in scope["headers"] if name.lower() == b"authorization"), b"")
        wanted = b"Basic " + base64.b64encode(self.login.encode())
        return hmac.compare_digest(given, wanted)


def find(store: Store, name: str) -> Path | None:
    """The file `STAGE/KEY/NAME`, where that is an artifact and its manifest lists the file; None for all else."""
    stage, _, rest = name.partition("/")
    key, _, file = rest.partition("/")
    if not _STAGE.fullmatch(stage) or not _KEY.fullmatch(key):
        return None
    artifact = store.peek(stage, key)
    if artifact is None or not artifact.digest or file not in artifact.files:
        return None
    path = artifact.file(file)
    within = path.resolve().is_relative_to(artifact.path.resolve())  # nobody made a link of it since
    return path if within and path.is_file() else None


def _opened(store: Store, name: str) -> BinaryIO | None:
    """What `find` finds, open; None where it is cleared at that moment."""
    with suppress(OSError):
        file = find(store, name)
        return file.open("rb") if file else None
    return None


async def _send(opened: BinaryIO, body: bool, send: Send) -> None:
    kind = TYPES.get(Path(opened.name).suffix, b"application/octet-stream")
    try:
        size = os.fstat(opened.fileno()).st_size
        headers = [(b"content-type", kind), (b"content-length", b"%d" % size), *GUARDS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while body and size > 0 and (block := await to_thread(opened.read, min(BLOCK, size))):
            size -= len(block)
            await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        opened.close()
