"""The page in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from playwright.sync_api import Browser, expect

from tests.browser import Seen
from tests.running_api import RunningApi
from tests.shell import Shell

KEY = "a-key-of-the-operator"
HOSTILE = {
    "<script>document.title='taken'</script>": "<script>document.title='taken'</script>",
    "<img src=x onerror=alert(1)>": "<img src=x onerror=alert(1)>",
    "\u202egnp.exe": "U+202Egnp.exe",
    "أغنية": "أغنية",
    "🎉👩\u200d👩\u200d👧": "🎉👩\u200d👩\u200d👧",
    "x" * 255: "x" * 255,
    "a\u200bb": "aU+200Bb",
    "&lt;b&gt;": "&lt;b&gt;",
}


@contextmanager
def seen(browser: Browser, address: str, **options: Any) -> Iterator[Seen]:
    """The page, once it is live; at the end nothing may have been complained about."""
    page = Seen(browser, **options)
    page.page.goto(address)
    page.wait_for("#connection-words", "live")
    yield page
    assert page.complaints == []
    page.context.close()


def test_a_like_shows_without_a_reload_and_a_flush_moves_it(likes, api, browser):
    with seen(browser, api.address) as page:
        page.wait_for("#pending-delta", "0")
        page.wait_for("#attention-words", "No open incidents, no dead letters")

        api.client.post("/v1/items/video:42/likes", json={"count": 1234})
        page.wait_for("#pending-delta", "1,234")
        assert page.text("#database-total") == "0"

        assert likes("flush").code == 0
        page.wait_for("#database-total", "1,234")
        page.wait_for("#pending-delta", "0")
        page.wait_for("#most-liked li .total", "1,234")
        assert page.text("#most-liked bdi") == "video:42"
        assert page.text("#flushes td:nth-child(2)") == "+1,234"
        api.client.post("/v1/items/video:42/likes")
        page.wait_for("#most-liked li .total", "1,235")  # live: not in the database yet


def test_while_the_tab_is_hidden_nothing_is_streamed(api, browser):
    with seen(browser, api.address) as page:
        assert page.open_streams() == 1
        page.hide()
        page.wait_for("#connection-words", "paused")
        assert page.open_streams() == 0
        api.client.post("/v1/items/a/likes")
        assert page.text("#pending-delta") == "0"
        page.hide(hidden=False)
        page.wait_for("#pending-delta", "1")
        page.wait_for("#connection-words", "live")
        assert page.open_streams() == 1


def test_items_are_shown_as_text_whatever_they_are(likes, api, browser):
    entries = [{"item": item, "count": 100 - number} for number, item in enumerate(HOSTILE)]
    lines = "\n".join(json.dumps(entry) for entry in entries).encode()
    assert likes("post", "--file", "-", stdin=lines).code == 0
    assert likes("flush").code == 0
    with seen(browser, api.address) as page:
        page.page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        expect(page.page.locator("#most-liked li")).to_have_count(len(HOSTILE))
        assert page.page.locator("#most-liked bdi").all_text_contents() == [*HOSTILE.values()]
        assert page.page.title() == "likes"
        assert page.page.locator("#most-liked img, #most-liked script").count() == 0
        assert page.page.locator("#most-liked bdi[dir=auto]").count() == len(HOSTILE)


def test_with_redis_away_it_says_so_and_shows_what_the_database_knows(likes, own_valkey, browser):
    server = own_valkey()
    likes = Shell(likes.folder, **{**likes.settings, "redis_url": server.url, "redis_timeout": 1})
    likes("post", "a", "--count", "5")
    assert likes("flush").code == 0
    with RunningApi(likes) as api, seen(browser, api.address) as page:
        page.wait_for("#database-total", "5")
        server.kill()
        page.wait_for("#troubles strong", "⚠ Redis is away: likes are not accepted now")
        page.wait_for("#said", "Redis is away: likes are not accepted now")
        page.wait_for("#pending-delta", "–")
        page.wait_for("#rate", "–")
        assert page.page.evaluate(CONTRASTS) == []
        page.wait_for("#database-total", "5")
        page.wait_for("#most-liked bdi", "a")
        server.start()
        expect(page.page.locator("#troubles")).to_be_hidden(timeout=15_000)
        page.wait_for("#said", "Redis and the database answer")


def test_how_often_totals_are_found_in_the_cache_is_shown(likes, api, valkey_url, browser):
    assert likes("flush").code == 0  # before that there is nothing to cache
    with redis.Redis.from_url(valkey_url) as client:
        client.hset("{likes:0}:cache", mapping={"hits": 930, "misses": 70})
    with seen(browser, api.address) as page:
        page.wait_for("#cache-rate", "93.0 %")
        page.wait_for("#cache-note", "of 1,000 reads")


def test_dead_letters_and_incidents_come_with_what_to_do(likes, api, valkey_url, browser):
    likes("post", "<b>evil</b>")
    assert likes("flush").code == 0
    with redis.Redis.from_url(valkey_url) as client:
        likes("post", "<b>evil</b>", "--count", "7")
        (delta,) = [key for key in client.scan_iter() if b":delta:" in key]
        client.set(delta, "many")
        assert likes("flush").code in (0, 3)
    with seen(browser, api.address) as page:
        page.wait_for("#attention[data-state=bad] .symbol", "⚠")
        listed = page.text("#attention-list")
        assert "<b>evil</b>" in listed
        assert "What to do: " in listed
        assert "likes dead-letters" in listed


def test_with_keys_it_asks_for_one_once(likes, browser):
    likes = Shell(likes.folder, **{**likes.settings, "api_keys": KEY, "public_keys": "a-key-of-a-browser"})
    with RunningApi(likes) as api:
        assert api.client.get("/v1/overview/events").status_code == 401
        page = Seen(browser)
        page.page.goto(api.address)
        assert page.page.url == f"{api.address}/sign-in"
        for wrong in ("a-wrong-key-of-any-kind", "a-key-of-a-browser"):
            page.page.get_by_label("API key").fill(wrong)
            page.page.keyboard.press("Enter")
            page.wait_for("[role=alert]", "That is none of the API keys.")
        page.complaints.clear()  # of the 403
        page.page.get_by_label("API key").fill(KEY)
        page.page.get_by_role("button", name="Sign in").click()
        page.wait_for("#connection-words", "live")
        (cookie,) = page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (True, "Strict", False)
        assert KEY not in cookie["value"]
        page.page.reload()
        page.wait_for("#connection-words", "live")
        page.page.get_by_role("button", name="Sign out").click()
        page.page.wait_for_url("**/sign-in")
        page.context.add_cookies([cookie])  # what was stolen is worth nothing any more
        page.page.goto(api.address)
        assert page.page.url == f"{api.address}/sign-in"
        assert page.complaints == []
        page.context.close()


def test_signing_in_needs_no_script(likes, browser):
    with RunningApi(likes, api_keys=KEY) as api:
        page = Seen(browser, java_script_enabled=False)
        page.page.goto(api.address)
        page.page.get_by_label("API key").fill(KEY)
        page.page.get_by_role("button", name="Sign in").click()
        assert page.page.url == f"{api.address}/"
        page.context.close()


CONTRASTS = """() => {
    const channels = (color) => color.match(/[\\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
        .map((c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
    const ground = (at) => {
        for (; at; at = at.parentElement) {
            const found = channels(getComputedStyle(at).backgroundColor);
            if (found.length < 4 || found[3] > 0) return found;
        }
        return [255, 255, 255];
    };
    const poor = [];
    for (const at of document.querySelectorAll("body *")) {
        const words = [...at.childNodes].map((n) => n.nodeType === 3 ? n.data.trim() : "").join("");
        if (!words || !at.checkVisibility()) continue;
        const [one, other] = [luminance(channels(getComputedStyle(at).color)), luminance(ground(at))];
        const ratio = (Math.max(one, other) + .05) / (Math.min(one, other) + .05);
        if (ratio < 4.5) poor.push(`${words}: ${ratio.toFixed(2)}`);
    }
    return poor;
}"""

NAMELESS = """() => [...document.querySelectorAll("section, input, button, img, svg, th")].filter((at) => {
    const labelled = at.getAttribute("aria-labelledby");
    return !(at.getAttribute("aria-label") || (labelled && document.getElementById(labelled)?.textContent.trim())
        || at.labels?.length || at.hasAttribute("alt") || at.textContent.trim());
}).map((at) => at.outerHTML)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1200])
def test_it_can_be_read_in_the_dark_and_on_a_phone(likes, api, browser, scheme, width):
    for item in ("a" * 255, "b"):
        likes("post", item, "--count", "1000000000")
    assert likes("flush").code == 0
    size = {"width": width, "height": 800}
    with seen(browser, api.address, viewport=size, color_scheme=scheme, reduced_motion="reduce") as page:
        page.wait_for("#database-total", "2,000,000,000")
        expect(page.page.locator("#most-liked li")).to_have_count(2)
        assert page.page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.page.evaluate(CONTRASTS) == []
        assert page.page.evaluate(NAMELESS) == []
        assert page.page.evaluate("getComputedStyle(document.querySelector('.bar span')).transitionDuration") == "0s"
        page.page.goto(f"{api.address}/sign-in")
        assert page.page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.page.evaluate(CONTRASTS) == []
        assert page.page.evaluate(NAMELESS) == []
