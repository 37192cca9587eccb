"""A line for each request, where that is wanted: what it tells, and what it keeps to itself."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.running_api import RunningApi
from tests.shell import Shell

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_request_is_a_line_with_its_route_and_trace(likes: Shell) -> None:
    with RunningApi(likes, access_log="on") as api:
        answer = api.client.get(
            "/v1/items/a%2Fb?counter=hush-hush",
            headers={"traceparent": f"00-{TRACE}-{SPAN}-01", "Authorization": "Bearer hush-hush"},
        )
        said = api.wait_for("answered")
        api.client.get("/no/route", headers={"traceparent": "00-nonsense"})
        unmatched = api.wait_for("answered", times=2)
        lines = "\n".join(api.lines)
    assert (said["method"], said["route"], said["path"]) == ("GET", "/v1/items/{item}", "/v1/items/a%2Fb")
    assert (said["status"], said["bytes"], said["client"]) == (200, len(answer.content), "127.0.0.1")
    assert 0 < said["duration_ms"] < 10_000
    assert (said["level"], said["trace_id"], said["span_id"]) == ("info", TRACE, SPAN)
    assert said["message"].startswith("GET /v1/items/a%2Fb 200 ")
    assert (unmatched["route"], unmatched["status"], "trace_id" in unmatched) == ("unmatched", 404, False)
    assert "hush-hush" not in lines


@pytest.mark.parametrize("plain", [True, False])
def test_behind_a_proxy_it_tells_the_client(likes: Shell, tmp_path: Path, plain: bool) -> None:
    asked = {"X-Forwarded-For": "203.0.113.9", **({} if plain else {"X-Other": "x"})}
    with RunningApi(likes, access_log="on", http_trusted_proxies="127.0.0.1") as api:
        assert api.client.post("/v1/items/a/likes", headers=asked).status_code == 202
        assert api.wait_for("answered")["client"] == "203.0.113.9"
    with RunningApi(likes, access_log="on", http_unix_socket=tmp_path / "likes.sock") as api:
        assert api.client.post("/v1/items/a/likes", headers=asked).status_code == 202
        assert api.wait_for("answered")["client"] == "203.0.113.9"
        del asked["X-Forwarded-For"]
        assert api.client.post("/v1/items/a/likes", headers=asked).status_code == 202
        assert api.wait_for("answered", times=2)["client"] == "unix"


def test_there_is_none_unless_it_is_asked_for(likes: Shell) -> None:
    with RunningApi(likes) as api:
        api.client.post("/v1/items/a/likes")
        api.stop()
        assert not api.said("answered")


def test_whatever_a_path_holds_is_one_short_line(likes: Shell) -> None:
    with RunningApi(likes, access_log="on") as api:
        api.client.get(f"/v1/items/{'x' * 3000}")
        first = api.wait_for("answered")
        at = urlsplit(api.address)
        with socket.create_connection((at.hostname, at.port), timeout=10) as raw:
            raw.sendall(b'GET /v1/items/%0a%1b%5b31m{"event":1} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
            while raw.recv(4096):
                pass
        odd = api.wait_for("answered", times=2)
        assert all(json.loads(line) for line in api.lines)
    assert len(first["path"]) == 200
    assert odd["path"] == '/v1/items/%0a%1b%5b31m{"event":1}'
