"""Every error is application/problem+json, with what a client needs to go on."""

from __future__ import annotations

import shutil
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import redis

from tests.proxy import Proxy
from tests.raw_http import Wire
from tests.running_api import RunningApi
from tests.servers import PostgreSQL, RedisServer
from tests.shell import Shell
from tests.targets import get

LIKE = "/v1/items/a/likes"


def check(answer: httpx.Response, status: int, type: str) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["type"]) == (status, status, type), problem
    assert set(problem) == {"type", "title", "status", "detail"}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/items/a/likes/",
        "/v1/items//likes",
        "/v1//items/a",
        "//v1/items/a",
        "/v1/items/a/b",
        "/v1/%69tems/a",
        "/v1%2Fitems%2Fa",
        "/V1/items/a",
        "/nowhere",
        "/v1",
        "/docs/",
    ],
)
def test_a_path_where_nothing_is(shared_api: RunningApi, path: str) -> None:
    answer = get(shared_api.address, path.encode())
    assert (answer.status, answer.json["type"]) == (404, "not-found")
    assert repr(path) in answer.json["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", LIKE, "POST, DELETE"),
        ("PUT", LIKE, "POST, DELETE"),
        ("PATCH", "/v1/items/a", "GET, HEAD"),
        ("POST", "/v1/items", "GET, HEAD"),
        ("GET", "/v1/likes", "POST"),
        ("OPTIONS", "/v1/top", "GET, HEAD"),
        ("DELETE", "/docs", "GET, HEAD"),
        ("BREW", "/v1/top", "GET, HEAD"),
    ],
)
def test_a_method_that_a_path_does_not_take(shared_api: RunningApi, method: str, path: str, allowed: str) -> None:
    answer = shared_api.client.request(method, path)
    if method == "BREW" and answer.status_code == 400:
        return  # the parser knows no such method
    check(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == allowed


def test_an_absolute_target_is_the_same_path(shared_api: RunningApi) -> None:
    target = shared_api.address.encode() + b"/v1/items/a%2Fb"
    assert get(shared_api.address, target).json["item"] == "a/b"


def test_a_body_that_is_cut_off_counts_nothing(shared_api: RunningApi) -> None:
    head = (
        b"POST /v1/items/cut/likes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9"
    )
    with Wire(shared_api.address) as wire:
        wire.send(head + b"\r\n\r\n{}")
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.ends()
    assert shared_api.client.get("/v1/items/cut").json()["total"] == 0


def test_redis_away(tmp_path: Path, own_valkey: Callable[..., RedisServer], sqlite_url: str) -> None:
    server = own_valkey()
    with RunningApi(Shell(tmp_path, redis_url=server.url, database_url=sqlite_url, redis_timeout=0.5)) as api:
        assert api.client.post(LIKE).status_code == 202
        server.kill()
        for answer in (api.client.post(LIKE), api.client.delete(LIKE)):
            check(answer, 503, "redis-unavailable")
            assert answer.headers["retry-after"] == "1"
        many = api.client.post("/v1/likes", json={"likes": [{"item": "a"}, {"item": ""}]})
        assert (many.status_code, many.json()["type"], many.headers["retry-after"]) == (503, "redis-unavailable", "1")
        assert [result["type"] for result in many.json()["results"]] == ["redis-unavailable", "invalid-input"]
        assert str(server.port) in api.wait_for("failed")["message"]
        assert str(server.port) not in many.text


def test_redis_full(tmp_path: Path, own_valkey: Callable[..., RedisServer], sqlite_url: str) -> None:
    server = own_valkey("--maxmemory-policy", "noeviction")
    with RunningApi(Shell(tmp_path, redis_url=server.url, database_url=sqlite_url)) as api:
        assert api.client.post(LIKE).status_code == 202
        with redis.Redis.from_url(server.url) as client:
            client.config_set("maxmemory", 1)
            answer = api.client.post(LIKE)
            check(answer, 503, "redis-full")
            assert answer.headers["retry-after"] == "1"
            client.config_set("maxmemory", 0)
        assert api.client.post(LIKE).json()["pending"] == 2


def test_an_unknown_outcome_is_not_to_be_sent_again(
    tmp_path: Path, own_valkey: Callable[..., RedisServer], sqlite_url: str
) -> None:
    server = own_valkey()
    with Proxy(server.url) as proxy:
        with RunningApi(Shell(tmp_path, redis_url=proxy.url, database_url=sqlite_url, redis_timeout=1)) as api:
            assert api.client.post(LIKE).status_code == 202
            with redis.Redis.from_url(server.url) as client:
                proxy.lose_reply_to(":delta:likes:a", then=client.flushall)
                answer = api.client.post(LIKE)
        check(answer, 503, "outcome-unknown")
        assert "retry-after" not in answer.headers
        assert proxy.lost == 1


def test_the_database_away(tmp_path: Path, valkey_url: str, own_postgres: PostgreSQL) -> None:
    shell = Shell(
        tmp_path, redis_url=valkey_url, database_url=own_postgres.create("likes"), redis_timeout=1, database_timeout=1
    )
    assert shell("migrate").code == 0
    with RunningApi(shell) as api:
        own_postgres.kill()
        assert api.client.post(LIKE).status_code == 202
        top = api.client.get("/v1/top")
        check(top, 503, "database-unavailable")
        assert top.headers["retry-after"] == "1"


def test_a_failure_of_ours_tells_nothing_and_is_logged(tmp_path: Path, valkey_url: str, sqlite_template: Path) -> None:
    database = shutil.copy(sqlite_template, tmp_path)
    with RunningApi(Shell(tmp_path, redis_url=valkey_url, database_url=f"sqlite:///{database}")) as api:
        with sqlite3.connect(database) as connection:
            connection.execute("DROP TABLE likes_totals")
        connection.close()
        answer = api.client.get("/v1/top")
        check(answer, 500, "internal")
        assert "likes_totals" not in answer.text
        assert "likes migrate" in api.wait_for("failed")["message"]
        assert not any("Traceback" in line for line in api.lines)
