"""Behind a proxy: who asked is known from trusted ones alone, and a path below which all lies makes no difference."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from likes.api.keys import Door
from likes.api.proxies import TrustedProxies
from likes.config.settings import Settings
from likes.errors import SettingsError
from tests.running_api import RunningApi
from tests.shell import Shell
from tests.targets import get


def seen(peer: tuple[str, int] | None, *headers: tuple[str, str], trusted: str = "10.0.0.0/8 2001:db8::/32") -> Any:
    """(address, scheme) that the application is told."""
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        told.append((scope["client"][0], scope["scheme"]))

    networks = Settings(http_trusted_proxies=trusted).http_trusted_proxies
    sent = [(name.lower().encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "client": peer, "scheme": "http", "headers": sent}
    asyncio.run(TrustedProxies(app, networks)(scope, None, None))
    return told[0]


FOR, PROTO = "X-Forwarded-For", "X-Forwarded-Proto"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),  # the client wrote 1.1.1.1
        ("10.0.0.1", ["1.1.1.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["1.1.1.1", "203.0.113.9", "10.0.0.2"], "203.0.113.9"),  # a line each
        ("10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
        ("10.0.0.1", ["[2001:db9::7]:4711"], "2001:db9::7"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),  # the same, on a socket for both families
        ("2001:db8::1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("203.0.113.1", ["1.1.1.1"], "203.0.113.1"),  # no trusted proxy
        ("127.0.0.1", ["1.1.1.1"], "127.0.0.1"),  # which uvicorn alone would believe
        ("::ffff:203.0.113.1", ["1.1.1.1"], "::ffff:203.0.113.1"),
    ],
)
def test_the_client_is_the_last_that_is_no_trusted_proxy(peer: str, forwarded: list[str], client: str) -> None:
    assert seen((peer, 1), *((FOR, value) for value in forwarded))[0] == client


def test_whoever_opens_a_unix_socket_is_the_proxy() -> None:
    assert seen(None, (FOR, "1.1.1.1, 203.0.113.9"), (PROTO, "https")) == ("203.0.113.9", "https")
    assert seen(None) == ("unix", "http")


def test_the_scheme_comes_from_trusted_proxies_alone() -> None:
    assert seen(("10.0.0.1", 1), (PROTO, "https"))[1] == "https"
    assert seen(("10.0.0.1", 1), (PROTO, "gopher"))[1] == "http"
    assert seen(("203.0.113.1", 1), (PROTO, "https"))[1] == "http"


def test_nobody_is_trusted_by_default() -> None:
    assert seen(("127.0.0.1", 1), (FOR, "1.1.1.1"), (PROTO, "https"), trusted="") == ("127.0.0.1", "http")


def test_forwarded_is_not_read() -> None:
    assert seen(("10.0.0.1", 1), ("Forwarded", "for=1.1.1.1;proto=https")) == ("10.0.0.1", "http")


def test_a_root_path_that_could_be_a_route_is_refused() -> None:
    for root in ("/v1", "/v1/likes"):
        with pytest.raises(SettingsError, match="LIKES_HTTP_ROOT_PATH"):
            Door(Settings(http_root_path=root))
    assert Door(Settings(http_root_path="/v12"))


def test_below_a_root_path_whether_the_proxy_strips_it_or_not(tmp_path: Path, valkey_url: str) -> None:
    with RunningApi(Shell(tmp_path, redis_url=valkey_url), http_root_path="/api/likes") as api:
        for path in ("/v1/items/a%2Fb", "/api/likes/v1/items/a%2Fb"):
            assert get(api.address, path.encode()).json["item"] == "a/b"
        assert api.client.post("/api/likes/v1/items/x/likes").json()["pending"] == 1
        assert api.client.post("/v1/items/x/likes").json()["pending"] == 2
        assert api.client.get("/api/likes/openapi.json").json()["servers"] == [{"url": "/api/likes"}]
        assert api.client.get("/api/likes/v1/likes").headers["allow"] == "POST"
        assert get(api.address, b"/api/likes").headers["location"] == "/api/likes/"
        for path in ("/api/likesv1/items/a", "/api/v1/items/a", "/api/likes/api/likes/v1/items/a"):
            assert get(api.address, path.encode()).status == 404
