"""The like button of the docs, clicked in a real browser on a page of another origin."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.running_api import RunningApi
from tests.shell import Shell
from tests.snippets import CHECKOUT

CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = [
    f"--{option}"
    for option in (
        *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
        *("disable-background-networking", "disable-component-update", "disable-sync"),
    )
]
KEY = "a-public-key-of-a-page"
PATIENCE_MS = 20_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{CHROMIUM} is missing")
        pytest.skip(f"{CHROMIUM} is missing")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, and says nothing about it."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder with the page, and the origin that it is served from."""
    for name in ("like-button.html", "like-button.js"):
        (tmp_path / name).write_bytes((CHECKOUT / "docs" / name).read_bytes())
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def api(likes: Shell, site: tuple[Path, str]) -> Iterator[RunningApi]:
    folder, origin = site
    with RunningApi(likes, http_origins=origin, public_keys=KEY, api_keys=KEY[::-1], rate_limit="8/2s") as api:
        page = folder / "like-button.html"
        page.write_text(
            page.read_text().replace("http://127.0.0.1:8080", api.address).replace("change-me-public-key", KEY)
        )
        api.client.headers["Authorization"] = f"Bearer {KEY}"
        yield api


@pytest.fixture
def page(browser: Any, api: RunningApi, site: tuple[Path, str]) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{site[1]}/like-button.html")
    expect(page.locator("output")).to_have_text("0", timeout=PATIENCE_MS)
    yield page
    page.close()


def shows(page: Page, total: int) -> None:
    expect(page.locator("output")).to_have_text(str(total), timeout=PATIENCE_MS)


def test_a_click_likes_and_shows_the_live_total(page: Page, api: RunningApi) -> None:
    page.locator("button").click()
    shows(page, 1)
    assert api.client.get("/v1/items/video%3A42").json()["total"] == 1


def test_a_click_too_many_waits_until_it_may_pass(page: Page, api: RunningApi) -> None:
    refused: list[int] = []
    page.on("response", lambda answer: refused.append(answer.status) if answer.status == 429 else None)
    for _ in range(8):
        page.locator("button").click()
    shows(page, 8)
    assert refused


def test_a_click_whose_answer_was_lost_counts_once(page: Page) -> None:
    """The browser asks again under the same key: the server had counted it."""
    lost: list[str] = []

    def lose(route: Any) -> None:
        if route.request.method == "POST" and len(lost) < 2:
            lost.append(route.request.headers["idempotency-key"])
            route.fetch()
            route.abort("connectionreset")
        else:
            if route.request.method == "POST":
                lost.append(route.request.headers["idempotency-key"])
            route.continue_()

    page.route("**/likes", lose)
    page.locator("button").click()
    shows(page, 1)
    assert len(lost) == 3 and len(set(lost)) == 1


def test_offline_it_says_so_and_likes_when_it_is_back(page: Page) -> None:
    page.context.set_offline(True)
    page.locator("button").click()
    page.wait_for_event("requestfailed")
    page.context.set_offline(False)
    shows(page, 1)
