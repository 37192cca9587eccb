"""What the page is made of, and who may see it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from likes.api import event_stream, opened, signed_in
from tests.serving_here import ServingHere
from tests.shell import Shell

KEY = "a-key-of-the-operator"
PARTS = ("page/page.css", "page/page.js", "page/icon.svg")


@pytest.fixture
def settings(tmp_path: Path, valkey_url: str, sqlite_url: str) -> dict[str, str]:
    return {"redis_url": valkey_url, "database_url": sqlite_url}


@pytest.fixture
def keyed(settings: dict[str, str]) -> Iterator[ServingHere]:
    with ServingHere(**settings, api_keys=KEY) as here:
        yield here


def test_everything_comes_under_a_strict_policy(settings):
    with ServingHere(**settings) as here:
        for path in ("", "sign-in", *PARTS):
            answer = here.client.get(f"/{path}")
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'") and "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
        page = here.client.get("/").text
        assert "<style" not in page and "style=" not in page and "onclick" not in page and "http" not in page


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_a_browser_has_is_not_sent_again(keyed, part):
    first = keyed.client.get(f"/{part}")
    again = keyed.client.get(f"/{part}", headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


@pytest.mark.parametrize("name", ["page.html", "sign_in.html", "..%2fapp.py", "%2e%2e%2fapp.py", "page.js%00"])
def test_nothing_else_is_to_be_had_there(keyed, name):
    assert keyed.client.get(f"/page/{name}").status_code == 404


@pytest.mark.parametrize("keys", [{"api_keys": KEY}, {"api_keys": KEY, "public_keys": "a-key-for-every-page"}])
def test_where_there_are_keys_nobody_looks_without_signing_in(settings, keys):
    with ServingHere(**settings, **keys) as here:
        assert here.client.get("/").headers["location"] == "/sign-in"
        for cookie in ("", "likes_page=", "likes_page=guess"):
            answer = here.client.get("/v1/overview/events", headers={"Cookie": cookie})
            assert (answer.status_code, answer.json()["type"]) == (401, "unauthorized")
        signed = here.client.post("/sign-in", data={"key": KEY})
        assert signed.status_code == (303 if "api_keys" in keys else 403)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
def test_another_site_cannot_sign_anybody_in_or_out(keyed, headers, status, path):
    answer = keyed.client.post(path, data={"key": KEY}, headers=headers)
    assert answer.status_code == status
    assert ("set-cookie" in answer.headers) == (status == 303)


def test_a_session_that_was_ended_is_over(keyed, settings, tmp_path):
    keyed.client.post("/sign-in", data={"key": KEY})
    assert keyed.client.get("/").status_code == 200
    likes = Shell(tmp_path, **settings)
    assert (likes("migrate").code, likes("sessions", "revoke", signed_in.USER).code) == (0, 0)
    assert keyed.client.get("/").status_code == 303


def test_a_stream_ends_with_its_session(keyed, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(event_stream, "COMMENT_SECONDS", 0.1)
    likes = Shell(tmp_path, **settings)
    assert likes("migrate").code == 0
    keyed.client.post("/sign-in", data={"key": KEY})
    with keyed.client.stream("GET", "/v1/overview/events") as stream:
        lines = stream.iter_lines()
        next(lines)
        assert likes("sessions", "revoke", signed_in.USER).code == 0
        for _ in lines:  # and there is an end to them
            pass


def test_no_other_session_opens_the_page(keyed):
    begun = keyed.client.post("/v1/sessions", json={"user": "mary"}, headers={"Authorization": f"Bearer {KEY}"})
    keyed.client.cookies.set("likes_page", begun.json()["token"])
    assert keyed.client.get("/").status_code == 303


def test_an_application_begins_no_session_of_the_page(keyed):
    key = {"X-API-Key": KEY}
    refused = keyed.client.post("/v1/sessions", json={"user": signed_in.USER}, headers=key)
    begun = keyed.client.post("/v1/sessions", json={"user": "mary"}, headers=key).json()
    bearer = {**key, "Authorization": f"Bearer {begun['token']}"}
    renamed = keyed.client.post("/v1/session/rotate", json={"user": signed_in.USER}, headers=bearer)
    for answer in (refused, renamed):
        assert (answer.status_code, answer.json()["type"]) == (400, "invalid-input")
    assert keyed.client.get("/v1/session", headers=bearer).json()["user"] == "mary"


@pytest.fixture
def for_an_hour(monkeypatch):
    """Nothing of what an address has tried is forgotten during a test."""
    monkeypatch.setattr(opened, "TRIES_SECONDS", 3600.0)


def tries(here: ServingHere, *, key: str = "wrong", until: int, address: str = "192.0.2.1") -> int:
    """How many keys were answered otherwise before this status came."""
    for tried in range(100):
        answer = here.client.post("/sign-in", data={"key": key}, headers={"X-Forwarded-For": address})
        if answer.status_code == until:
            return tried
    raise AssertionError(answer)


def test_who_tries_too_many_keys_waits(for_an_hour, settings):
    with ServingHere(**settings, api_keys=KEY, http_trusted_proxies="127.0.0.1") as here:
        assert tries(here, until=429) == signed_in.TRIES
        refused = here.client.post("/sign-in", data={"key": KEY}, headers={"X-Forwarded-For": "192.0.2.1"})
        assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (429, True)
        assert "too many keys were tried" in refused.text
        assert tries(here, until=303, key=KEY, address="192.0.2.2") == 0  # nobody else does
        assert tries(here, until=429, address="2001:db8::1") == signed_in.TRIES
        assert tries(here, until=429, address="2001:db8::ffff:1") == 0  # of the same network


def test_more_processes_are_no_more_tries(for_an_hour, settings):
    """But one of each, which it has not told the others of yet."""
    proxy = {"http_trusted_proxies": "127.0.0.1"}
    with ServingHere(**settings, api_keys=KEY, **proxy) as one, ServingHere(**settings, api_keys=KEY, **proxy) as other:
        assert tries(one, until=429) == signed_in.TRIES
        assert tries(other, until=429) <= 1


def test_without_redis_each_process_counts_by_itself(for_an_hour, own_valkey, sqlite_url):
    redis = own_valkey()
    settings = {"redis_url": redis.url, "database_url": sqlite_url, "api_keys": KEY}
    with ServingHere(**settings, http_trusted_proxies="127.0.0.1") as here:
        redis.kill()
        assert tries(here, until=429) == signed_in.TRIES


def test_a_form_longer_than_any_key_is_refused(keyed):
    assert keyed.client.post("/sign-in", content=b"key=" + b"x" * 10_000).status_code == 413
