"""The dashboard in a real browser: a deployment is run from its form with another backend, watched, looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.flows.upping import Up, adjacent_ports, kill, until

playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
pytestmark = [pytest.mark.prefect, pytest.mark.browser, pytest.mark.timeout(900)]
PATIENCE = 300_000
"""Milliseconds for anything to be seen, on a machine that does other things as well."""
PROJECT = f"""
port: {adjacent_ports(1)}
schedules:
  nightly-digits:
    flow: run
    experiment: e.yaml
    cron: "0 2 1 1 *"
"""


@pytest.fixture
def up(
    place: Path, plain_path: Path, installed: Callable[[str, str, str], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Up]:
    """`recurra up` with one schedule, and two backends to choose from."""
    monkeypatch.delenv("PREFECT_HOME")
    monkeypatch.setenv("HOME", str(place))
    code = (plain_path / "plain_backend.py").read_text().replace('"plain", (1, 1)', '"other", (1, 1)')
    installed("other", code, "recurra.backends")
    (place / "recurra.yaml").write_text(PROJECT)
    it = Up("up")
    yield it
    if it.process.poll() is None:
        kill(it.processes())
        it.process.wait()


@pytest.fixture
def page(place: Path) -> Iterator[Any]:
    """A page of Chromium; its last look is kept in the test's folder."""
    chromium = which("chromium") or which("chromium-browser") or which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on the PATH")
    playwright.expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1400, "height": 1200})
        page.set_default_timeout(PATIENCE)
        yield page
        page.screenshot(path=place / "last.png")
        browser.close()


def _choose(page: Any, field: str, value: str) -> None:
    """Chooses a value of a drop-down of the run form."""
    of = page.locator(".schema-form-property").filter(has=page.get_by_text(field, exact=True)).last
    of.locator("button.p-select-button__control").press("ArrowDown")
    page.get_by_role("option", name=value, exact=True).click()
    playwright.expect(of.locator(".p-select-button__value")).to_have_text(value)


def _seen(page: Any, *texts: str, exact: bool = False) -> None:
    for text in texts:
        playwright.expect(page.get_by_text(text, exact=exact).first).to_be_visible()


def test_a_deployment_is_run_from_its_form_with_another_backend_and_all_of_it_is_seen(
    up: Up, page: Any, place: Path
) -> None:
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(urlsplit(request.url).hostname or ""))
    until(lambda: "Ctrl-C ends it" in up.lines or up.process.poll() is not None, PATIENCE / 1000)
    page.goto(up.url)
    page.get_by_text("Deployments", exact=True).first.click()
    page.get_by_text("nightly-digits", exact=True).first.click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Custom run", exact=True).click()

    _seen(page, "Passes over the training split.")
    _choose(page, "Backend (Optional)", "other")
    page.screenshot(path=place / "form.png")
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("e/other", exact=True).first.click()

    page.wait_for_url(re.compile("/runs/flow-run/"))
    _seen(page, "Completed", "other", "fusion", "e", exact=True)
    _seen(page, "preprocess  miss", "epoch 2/2", "report      miss")
    page.screenshot(path=place / "run.png")

    page.get_by_text("Artifacts", exact=True).last.click()
    _seen(
        page, *(f"e-other-{what}" for what in ("progress", "training", "metrics", "stages", "report-link")), exact=True
    )
    page.get_by_text("e-other-report", exact=True).first.click()
    pictures = page.locator("img[src^='data:image/png']")
    playwright.expect(pictures).to_have_count(2)
    assert all(pictures.evaluate_all("all => all.map(one => one.complete && one.naturalWidth > 300)"))
    page.screenshot(path=place / "report.png")

    with page.expect_popup() as opened:
        page.get_by_role("link", name="The whole report").click()
    _seen(opened.value, "Accuracy")
    assert asked - {""} == {"127.0.0.1"}  # a data: URI has no host
