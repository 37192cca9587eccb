"""Without keys it answers this machine alone, and pages of other sites cannot use its browsers to get in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.raw_http import Wire
from tests.running_api import RunningApi
from tests.servers import Server
from tests.shell import Shell
from tests.targets import get

LIKE = "/v1/items/a/likes"
ORIGIN = "http://localhost:3000"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, valkey_server: Server) -> Iterator[RunningApi]:
    folder = tmp_path_factory.mktemp("loopback")
    shell = Shell(folder, redis_url=valkey_server.url, prefix=folder.name, http_origins=ORIGIN)
    with RunningApi(shell) as api:
        yield api


@pytest.mark.parametrize("path", ["/v1/items/a", "/docs", "/openapi.json", "/nowhere"])
@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"evil.example:8080",
        b"localhost.evil.example",
        b"127.0.0.1.evil.example",
        b"evil.example#localhost",
        b"localhost@evil.example",
        b"192.0.2.1",
        b"[2001:db8::1]",
        b"0.0.0.0",
        b"127.0.0.1:80:80",
        b"\xff",
        b"",
    ],
)
def test_a_name_that_was_made_to_point_here_is_refused(api: RunningApi, host: bytes, path: str) -> None:
    answer = get(api.address, path.encode(), b"Host: " + host)
    assert answer.status in (400, 403)  # 400: what is no host at all may be refused before
    if answer.status == 403:
        assert answer.json["type"] == "forbidden"
        assert "LIKES_API_KEYS" in answer.json["detail"]


@pytest.mark.parametrize(
    "host",
    [b"localhost", b"LocalHost:8080", b"localhost.", b"likes.localhost", b"127.0.0.1:1", b"127.9.9.9", b"[::1]:8080"],
)
def test_the_names_of_this_machine(api: RunningApi, host: bytes) -> None:
    assert get(api.address, b"/v1/items/a", b"Host: " + host).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3001"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:3001"},
        {"Origin": "null"},
        {"Origin": ORIGIN.upper()},
    ],
)
def test_pages_of_other_sites_may_not_write(api: RunningApi, headers: dict[str, str]) -> None:
    before = api.client.get("/v1/items/a").json()["total"]
    for method, path in (("POST", LIKE), ("DELETE", LIKE), ("POST", "/v1/likes")):
        answer = api.client.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (403, "forbidden")
        assert "LIKES_HTTP_ORIGINS" in answer.json()["detail"]
    assert api.client.get("/v1/items/a", headers=headers).json()["total"] == before


def test_its_own_pages_and_those_of_the_origins_may(api: RunningApi) -> None:
    for headers in (
        {},
        {"Sec-Fetch-Site": "same-origin", "Origin": api.address},
        {"Sec-Fetch-Site": "none"},
        {"Origin": api.address},
        {"Sec-Fetch-Site": "same-site", "Origin": ORIGIN},
    ):
        assert api.client.post(LIKE, headers=headers).status_code == 202


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_the_host_of_an_absolute_target_is_the_one_that_counts(api: RunningApi, method: bytes) -> None:
    """RFC 9112, section 3.2.2: whatever the Host header says."""
    path = b"/v1/items/a" if method == b"GET" else LIKE.encode()

    def status(target: bytes, host: bytes) -> int:
        with Wire(api.address) as wire:
            return wire.ask(method + b" " + target + path + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n").status

    for target in (b"http://evil.example", b"HTTP://evil.example:80", b"https://localhost.evil.example"):
        assert status(target, b"localhost") == 403
    for target in (b"http://localhost@evil.example", b"ftp://localhost", b"http://", b"http://:80"):
        assert status(target, b"localhost") == 400
    for target in (b"http://localhost", b"http://LOCALHOST:1", b"http://[::1]:8080"):
        assert status(target, b"evil.example") in (200, 202)


def test_a_page_of_a_site_that_an_absolute_target_names_is_not_its_own(api: RunningApi) -> None:
    head = b"POST http://localhost:1/v1/likes HTTP/1.1\r\nHost: localhost:2\r\nOrigin: http://localhost:2\r\n"
    with Wire(api.address) as wire:
        assert wire.ask(head + b"Content-Length: 0\r\n\r\n").status == 403


def test_two_hosts_are_not_one(api: RunningApi) -> None:
    with Wire(api.address) as wire:
        request = b"GET /v1/items/a HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
        assert wire.ask(request).status in (400, 403)
