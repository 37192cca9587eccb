"""Debian's Chromium, headless, driven by playwright; and what a test asks of a page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

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

    def text(self, selector: str) -> str:
        """What stands there."""
        return self.page.locator(selector).inner_text().strip()

    def wait_for(self, selector: str, words: str) -> None:
        """Wait until the element has just these words."""
        script = "([selector, words]) => document.querySelector(selector)?.innerText.trim() === words"
        try:
            self.page.wait_for_function(script, arg=[selector, words])
        except Exception as error:
            raise AssertionError(f"{selector} never said {words!r}, but {self.text(selector)!r}") from error

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)
