"""Debian's Chromium, headless, driven by playwright; and what a test asks of a page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.servers import MissingServerError

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with a profile of its own."""
    if not CHROMIUM.exists():
        raise MissingServerError(f"{CHROMIUM} is not there: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Seen:
    """A page, and all that its console and its Content-Security-Policy complain about."""

    def __init__(self, browser: Browser, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.complaints: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.streams: list[Request] = []
        self.page.on("request", self._note_stream)
        self.ended: list[Request] = []
        self.page.on("requestfailed", self._note_end)
        self.page.on("requestfinished", self._note_end)

    def text(self, selector: str) -> str:
        """What stands there."""
        return self.page.locator(selector).inner_text().strip()

    def wait_for(self, selector: str, words: str) -> None:
        """Wait until the first such element has just these words."""
        expect(self.page.locator(selector).first).to_have_text(words, timeout=15_000)

    def hide(self, *, hidden: bool = True) -> None:
        """Tell it what a browser tells a page when its tab is hidden or shown; a headless one never does so itself."""
        self.page.evaluate(
            """hidden => {
                Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
                document.dispatchEvent(new Event("visibilitychange"));
            }""",
            hidden,
        )

    def open_streams(self) -> int:
        """How many event streams it has open."""
        return sum(stream not in self.ended for stream in self.streams)

    def _note_end(self, request: Request) -> None:
        self.ended.append(request)

    def _note_stream(self, request: Request) -> None:
        if request.resource_type == "eventsource" or request.url.endswith("/events"):
            self.streams.append(request)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)
