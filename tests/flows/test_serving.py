"""What stands before Prefect's server in `recurra up`: who may talk to it, what it hands out, how it is set."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from recurra.home import Home
from recurra.store import Artifact, Store
from recurra_flows.api import login
from recurra_flows.up.dashboard import ORIGINS, surroundings
from recurra_flows.up.doorkeeper import App, Doorkeeper
from recurra_flows.up.own_origin import OwnOrigin
from recurra_flows.up.reports import PREFIX, Reports, find


async def _page(scope: Any, receive: Any, send: Any) -> None:
    """Stands for Prefect's server."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": b"page"})


def _asked(app: App, path: str = "/", kind: str = "http", method: str = "GET", **headers: str) -> tuple[int, Any, Any]:
    """The status, the headers and the body of the answer; a web socket that is closed has status 403."""
    sent: list[Mapping[str, Any]] = []

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "path": path, "method": method, "headers": raw}
    asyncio.run(app(scope, lambda: asyncio.sleep(0), send))  # pyright: ignore[reportArgumentType]
    if sent[0]["type"] == "websocket.close":
        return 403, {}, b""
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(each["body"] for each in sent[1:])


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("headers", "admitted"),
    [
        ({"Host": "127.0.0.1:4200"}, True),
        ({"Host": "localhost:4200", "Origin": "http://localhost:4200"}, True),
        ({"Host": "[::1]:4200"}, True),
        ({"Host": "localhost:4200", "Origin": "http://elsewhere"}, False),
        ({"Host": "localhost:4200", "Origin": "http://["}, False),
        ({"Host": "localhost:4200", "Origin": "null"}, False),
        ({"Host": "rebound.example:4200"}, False),
        ({"Host": "["}, False),
        ({}, False),
    ],
)
def test_only_programs_and_its_own_pages_are_admitted(kind: str, headers: dict[str, str], admitted: bool) -> None:
    door = Doorkeeper(_page, ["127.0.0.1", "localhost", "::1"])
    assert (_asked(door, kind=kind, **headers)[0] == 200) == admitted


@pytest.fixture
def nothing_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home, in a folder without settings."""
    for name in [name for name in os.environ if name.startswith("PREFECT")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return Home(tmp_path / "home")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1"])
def test_the_address_that_it_listens_at_is_one_that_it_answers_to(nothing_chosen: Home, host: str) -> None:
    names = surroundings(nothing_chosen, host, 4200)[ORIGINS].split(",")
    named = f"[{host}]" if ":" in host else host
    assert _asked(Doorkeeper(_page, names), Host=f"{named}:4200", Origin=f"http://{named}:4200")[0] == 200


def test_what_the_user_chose_counts_wherever_it_was_chosen_but_for_the_port_that_is_bound(
    nothing_chosen: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = surroundings(nothing_chosen, "127.0.0.1", 4201)
    assert wanted["PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED"] == "true"
    monkeypatch.setenv("PREFECT_SERVER_API_PORT", "4200")
    Path(".env").write_text("PREFECT_SERVER_CORS_ALLOWED_ORIGINS=http://mine\nPREFECT_SERVER_API_AUTH_STRING=me:pw\n")
    Path("prefect.toml").write_text("[server.api]\ncsrf_protection_enabled = false\n")
    found = surroundings(nothing_chosen, "127.0.0.1", 4201)
    assert wanted.keys() - found.keys() == {
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS",
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED",
    }
    assert found["PREFECT_SERVER_API_PORT"] == "4201"
    assert found["PREFECT_SERVER_API_AUTH_STRING"] == login() == "me:pw"


def test_pages_may_connect_to_their_own_origin_alone() -> None:
    _, headers, _ = _asked(OwnOrigin(_page), Host="localhost:4200")
    assert headers[b"content-security-policy"] == b"connect-src 'self' ws://localhost:4200 wss://localhost:4200"
    _, headers, _ = _asked(OwnOrigin(_page), Host="x; connect-src *")
    assert headers[b"content-security-policy"] == b"connect-src 'self'"


@pytest.fixture
def report(tmp_path: Path) -> tuple[Store, Artifact]:
    """A store with one artifact, which has a page."""
    store = Store(tmp_path / "store")
    made = store.obtain("report", {"of": "a test"}, lambda folder: _write(folder / "report.html"))
    return store, made.artifact


def _write(page: Path) -> None:
    page.write_text("<p>good")


def test_a_page_of_an_artifact_is_handed_out_and_may_run_nothing(report: tuple[Store, Artifact]) -> None:
    store, made = report
    reports = Reports(_page, store, None)
    status, headers, body = _asked(reports, f"{PREFIX}report/{made.key}/report.html")
    assert (status, body, headers[b"content-type"]) == (200, b"<p>good", b"text/html; charset=utf-8")
    assert headers[b"content-security-policy"].startswith(b"sandbox; default-src 'none'")
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert _asked(reports, f"{PREFIX}report/{made.key}/report.html", method="HEAD")[2] == b""
    assert _asked(reports, f"{PREFIX}report/{made.key}/report.html", method="POST")[0] == 405
    assert _asked(reports, "/anything/else")[2] == b"page"


@pytest.mark.parametrize(
    "name",
    [
        "report/{key}/none.html",
        "report/{key}/manifest.json",
        "report/{key}/../../report/{key}/report.html",
        "report/{key}//report.html",
        "report/{key}/",
        "../store/report/{key}/report.html",
        "report/{other}/report.html",
        "report/{key}/unlisted.html",
        "report/{key}",
    ],
)
def test_nothing_else_is_handed_out(report: tuple[Store, Artifact], name: str) -> None:
    store, made = report
    made.path.chmod(0o700)
    (made.path / "unlisted.html").write_text("not in the manifest")
    path = PREFIX + name.format(key=made.key, other="0" * 32)
    assert _asked(Reports(_page, store, None), path)[0] == 404


def test_neither_a_link_nor_what_is_cleared_meanwhile_is_handed_out(
    report: tuple[Store, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, made = report
    path = f"{PREFIX}report/{made.key}/report.html"
    monkeypatch.setattr("recurra_flows.up.reports.find", lambda store, name: tmp_path / "gone.html")
    assert _asked(Reports(_page, store, None), path)[0] == 404
    monkeypatch.undo()
    (tmp_path / "secret").write_text("secret")
    made.path.chmod(0o700)
    made.file("report.html").unlink()
    made.file("report.html").symlink_to(tmp_path / "secret")
    assert find(store, f"report/{made.key}/report.html") is None


def test_where_the_dashboard_asks_for_a_login_so_do_reports(report: tuple[Store, Artifact]) -> None:
    store, made = report
    reports, path = Reports(_page, store, "me:pw"), f"{PREFIX}report/{made.key}/report.html"
    assert _asked(reports, path)[0] == 401
    assert _asked(reports, path, Authorization="Basic " + base64.b64encode(b"me:no").decode())[0] == 401
    assert _asked(reports, path, Authorization="Basic " + base64.b64encode(b"me:pw").decode())[0] == 200
