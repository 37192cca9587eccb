"""/livez and /readyz: what each says of a process, its Redis and its database, in time and without storming them."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import redis

from tests.raw_http import Wire
from tests.running_api import RunningApi
from tests.served_slowly import SlowShell
from tests.servers import PostgreSQL, RedisServer
from tests.shell import Shell
from tests.waiting import wait_until


def ready(api: RunningApi) -> tuple[int, dict[str, object]]:
    """The answer of /readyz, which waits for a server a second at most."""
    began = time.monotonic()
    answer = api.client.get("/readyz")
    assert time.monotonic() - began < 4, "other calls wait for five seconds"
    return answer.status_code, answer.json()


def test_ready_on_the_embedded_servers(tmp_path: Path) -> None:
    likes = Shell(tmp_path)
    with RunningApi(likes) as api:
        assert (api.client.get("/livez").json(), ready(api)) == (
            {"status": "alive"},
            (200, {"status": "ready", "redis": "ok", "database": "ok"}),
        )
    assert likes("embedded", "stop").code == 0


def test_without_its_database_it_is_degraded_and_counts(
    tmp_path: Path, valkey_url: str, own_postgres: PostgreSQL
) -> None:
    likes = Shell(tmp_path, redis_url=valkey_url, database_url=own_postgres.create("health"))
    with RunningApi(likes) as api:
        assert ready(api) == (200, {"status": "degraded", "redis": "ok", "database": "refused"}), "not migrated"
        assert likes("migrate").code == 0
        wait_until(lambda: ready(api) == (200, {"status": "ready", "redis": "ok", "database": "ok"}))
        own_postgres.kill()
        wait_until(lambda: ready(api) == (200, {"status": "degraded", "redis": "ok", "database": "unavailable"}))
        assert api.client.post("/v1/items/a/likes").status_code == 202
        assert api.client.get("/livez").status_code == 200
        own_postgres.start()
        wait_until(lambda: ready(api)[1]["status"] == "ready", timeout=30)


def test_a_server_that_is_away_at_the_start_is_told_of_before_anybody_asks(tmp_path: Path) -> None:
    nowhere = {"redis_url": "redis://127.0.0.1:1/0", "database_url": "postgresql://user:s3cret@127.0.0.1:1/likes"}
    with RunningApi(Shell(tmp_path, **nowhere)) as api:
        api.wait_for("unusable", times=2)
        told = [each["message"] for each in api.said("unusable")]
        assert [server in words for server, words in zip(("Redis at", "PostgreSQL at"), told, strict=True)] == [
            True
        ] * 2
        assert "s3cret" not in str(told)


def test_a_start_with_all_there_warns_of_nothing(tmp_path: Path) -> None:
    likes = Shell(tmp_path)
    with RunningApi(likes) as api:
        wait_until(lambda: ready(api)[0] == 200)  # of the same question as that at the start, or a later one
        assert api.said("unusable") == []
    assert likes("embedded", "stop").code == 0


@pytest.mark.parametrize("missing", ["-rpush", "-@scripting"])
def test_without_a_right_that_a_like_needs_it_is_not_ready(
    missing: str, tmp_path: Path, own_valkey: Callable[..., RedisServer]
) -> None:
    server = own_valkey()
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "shy", "on", ">hunter2", "~*", "&*", "+@all", missing)
    with RunningApi(Shell(tmp_path, redis_url=server.url.replace("://", "://shy:hunter2@"))) as api:
        assert "no permissions" in api.wait_for("unusable")["message"]
        status, answer = ready(api)
        assert (status, answer["redis"]) == (503, "refused")
        assert api.client.post("/v1/items/a/likes").status_code == 500


def test_without_redis_it_is_not_ready(tmp_path: Path, own_valkey: Callable[..., RedisServer], sqlite_url: str) -> None:
    server = own_valkey()
    likes = Shell(tmp_path, redis_url=server.url, database_url=sqlite_url)
    assert likes("migrate").code == 0
    with RunningApi(likes) as api:
        assert ready(api)[0] == 200
        server.pause()
        wait_until(lambda: ready(api)[0] == 503)
        problem = ready(api)[1]
        assert (problem["type"], problem["redis"], problem["database"]) == ("redis-unavailable", "unavailable", "ok")
        assert api.client.get("/readyz").headers["retry-after"] == "1"
        server.resume()
        wait_until(lambda: ready(api)[0] == 200)
        server.kill()
        wait_until(lambda: ready(api)[0] == 503)
        assert api.client.get("/livez").status_code == 200
        server.start()
        wait_until(lambda: ready(api)[0] == 200)


def test_a_redis_that_is_full_or_only_reads_is_not_ready(
    tmp_path: Path, own_valkey: Callable[..., RedisServer], sqlite_url: str
) -> None:
    server = own_valkey()
    likes = Shell(tmp_path, redis_url=server.url, database_url=sqlite_url)
    assert likes("migrate").code == 0
    with RunningApi(likes) as api, redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1mb")
        wait_until(lambda: ready(api)[1].get("redis") == "full")
        assert api.client.post("/v1/items/a/likes").status_code == 503
        client.config_set("maxmemory", "0")
        wait_until(lambda: ready(api)[0] == 200)
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        wait_until(lambda: ready(api)[0] == 503)
        assert not client.keys("*check*")


def test_a_redis_of_another_database_is_told(tmp_path: Path, valkey_url: str, sqlite_url: str) -> None:
    likes = Shell(tmp_path, redis_url=valkey_url, database_url=sqlite_url)
    other = Shell(tmp_path, redis_url=valkey_url, database_url=f"sqlite:///{tmp_path / 'other.db'}")
    for each in (likes, other):
        assert each("migrate").code == 0
    with RunningApi(likes) as api:
        assert ready(api)[1]["status"] == "ready", "it belongs to nobody yet"
        assert other("flush").code == 0
        expected = (200, {"status": "degraded", "redis": "ok", "database": "other"})
        wait_until(lambda: ready(api) == expected)


def test_many_probes_are_a_question_a_second(likes: Shell, valkey_url: str) -> None:
    with RunningApi(likes) as api, redis.Redis.from_url(valkey_url) as client, ThreadPoolExecutor(10) as threads:
        began = time.monotonic()
        statuses = [*threads.map(lambda _: httpx.get(f"{api.address}/readyz").status_code, range(200))]
        assert statuses == [200] * 200
        asked = client.info("commandstats")["cmdstat_set"]["calls"]
        assert asked <= time.monotonic() - began + 1


def test_a_process_that_ends_says_so(tmp_path: Path, valkey_url: str, sqlite_url: str) -> None:
    likes = SlowShell(tmp_path, redis_url=valkey_url, database_url=sqlite_url)
    with RunningApi(likes) as api, Wire(api.address) as first, Wire(api.address) as second, Wire(api.address) as busy:
        for wire in (first, second):
            assert wire.ask(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200
        busy.send(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert busy.answer().status == 200
        busy.wait_for(b"begin")
        first.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")
        second.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n")
        api.send(15)
        busy.wait_for(b"end")
        for wire in (first, second):
            answer = wire.ask(b"\r\n")
            assert (answer.status, answer.json["type"], answer.headers["connection"]) == (503, "stopping", "close")
        assert api.wait() == 0
