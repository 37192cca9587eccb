"""CORS: pages of the configured origins, and no others, may call the API from browsers."""

from __future__ import annotations

from collections.abc import Iterator
from secrets import token_hex

import httpx
import pytest

from likes.api.origins import as_sent, headers_for
from tests.running_api import RunningApi
from tests.servers import Server
from tests.shell import Shell

KEY, PUBLIC = token_hex(16), token_hex(16)
ORIGIN = "https://shop.example.org"
LIKE = "/v1/items/a/likes"
ASKED = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, valkey_server: Server) -> Iterator[RunningApi]:
    folder = tmp_path_factory.mktemp("origins")
    settings = {
        "api_keys": KEY,
        "public_keys": PUBLIC,
        "http_origins": "https://Shop.Example.org:443 http://localhost:3000",
    }
    with RunningApi(Shell(folder, redis_url=valkey_server.url, prefix=folder.name, **settings)) as api:
        yield api


def varies(answer: httpx.Response) -> set[str]:
    return {word.strip().lower() for word in answer.headers["vary"].split(",")}


def test_a_preflight_says_what_may_be_sent(api: RunningApi) -> None:
    answer = api.client.options(LIKE, headers={"Origin": ORIGIN, **ASKED})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert all(name in allowed for name in ("authorization", "content-type", "idempotency-key", "x-api-key"))
    assert "access-control-allow-credentials" not in answer.headers
    assert "origin" in varies(answer)


@pytest.mark.parametrize(
    "asked",
    [
        {"Origin": "https://evil.example", **ASKED},
        {"Origin": f"{ORIGIN}.evil.example", **ASKED},
        {"Origin": "null", **ASKED},
        {"Origin": "http://shop.example.org", **ASKED},
        {"Origin": ORIGIN, **ASKED, "Access-Control-Request-Method": "PUT"},
        {"Origin": ORIGIN, **ASKED, "Access-Control-Request-Headers": "x-other"},
    ],
)
def test_a_preflight_that_is_refused_is_a_problem(api: RunningApi, asked: dict[str, str]) -> None:
    answer = api.client.options(LIKE, headers=asked)
    assert (answer.status_code, answer.json()["type"]) == (403, "forbidden")
    assert answer.headers["content-type"] == "application/problem+json"
    if asked["Origin"] != ORIGIN:
        assert "access-control-allow-origin" not in answer.headers


def test_what_a_page_may_read(api: RunningApi) -> None:
    headers = {"Origin": ORIGIN, "Authorization": f"Bearer {PUBLIC}"}
    answers = [
        api.client.post(LIKE, headers=headers),
        api.client.get("/v1/items/%00", headers=headers),
        api.client.get("/v1/items/a", headers={"Origin": ORIGIN}),
        api.client.get("/nowhere", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [202, 400, 401, 404]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "Retry-After" in answer.headers["access-control-expose-headers"]
        assert "RateLimit" in answer.headers["access-control-expose-headers"]
        assert varies(answer) == {"origin"}


def test_other_pages_are_told_nothing_they_can_read(api: RunningApi) -> None:
    for origin in ({"Origin": "https://evil.example"}, {}):
        answer = api.client.get("/v1/items/a", headers={**origin, "Authorization": f"Bearer {PUBLIC}"})
        assert "access-control-allow-origin" not in answer.headers
        assert varies(answer) == {"origin"}


def test_what_answers_before_the_application_says_the_same(api: RunningApi) -> None:
    origins = frozenset({ORIGIN.encode(), b"http://localhost:3000"})
    for origin in (ORIGIN, "https://evil.example", ""):
        headers = {"Origin": origin} if origin else {}
        answer = api.client.get("/v1/items/a", headers={**headers, "Authorization": f"Bearer {PUBLIC}"})
        names = ("vary", *(name for name in answer.headers if name.startswith("access-control")))
        assert {name.encode(): answer.headers[name].encode() for name in names} == dict(
            headers_for(origin.encode(), origins)
        )
    assert headers_for(ORIGIN.encode(), frozenset()) == []


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://A.example", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("http://a.example:80", "http://a.example"),
        ("http://a.example:443", "http://a.example:443"),
        ("https://a.example:4433", "https://a.example:4433"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_origins_are_compared_as_browsers_write_them(written: str, sent: str) -> None:
    assert as_sent(written) == sent


def test_without_origins_no_page_may(shared_api: RunningApi) -> None:
    assert shared_api.client.options(LIKE, headers={"Origin": ORIGIN, **ASKED}).status_code == 405
    assert "vary" not in shared_api.client.get("/v1/items/a").headers
