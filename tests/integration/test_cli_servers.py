"""The command with a Redis and a database of one's own: `migrate` makes the tables, and `check` looks closely."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from sqlalchemy import insert

from likes.sql.engine import open_engine, writing
from likes.sql.schema import head, migrate
from likes.sql.tables import totals
from tests.servers import RedisServer
from tests.shell import Shell


@pytest.fixture(params=["postgres", "mariadb"])
def likes(request: pytest.FixtureRequest, tmp_path: Path, valkey_url: str) -> Shell:
    return Shell(tmp_path, redis_url=valkey_url, database_url=request.getfixturevalue(f"{request.param}_url"), shards=2)


def findings(checked: Any, *levels: str) -> dict[str, str]:
    return {finding["name"]: finding["found"] for finding in checked["findings"] if finding["level"] in levels}


def test_from_an_empty_database_to_totals_and_history(likes: Shell) -> None:
    for words in (["totals"], ["flush"], ["get", "a"]):
        refused = likes(*words)
        assert (refused.code, refused.out) == (1, "")
        assert "likes migrate" in refused.err
        assert len(refused.err.splitlines()) == 1
    assert findings(likes("check", "--json").json, "error") == {"schema": "there are no tables yet"}

    assert "CREATE TABLE likes_totals" in likes("migrate", "--sql").out
    assert likes("migrate").out.endswith(f": now at revision {head()}\n")
    assert likes("migrate").out.endswith(f": already at revision {head()}\n")

    assert likes("post", "--file", "-", stdin=b"a\nb\na\n").code == 0
    assert likes("flush", "--json").json["delta"] == 3
    assert [(total["item"], total["total"]) for total in likes("totals", "--json").json] == [("a", 2), ("b", 1)]
    assert sum(batch["delta"] for batch in likes("history", "--json").json) == 3
    assert likes("audit", "--json").json["ok"]
    assert likes("check", "--json").json["ok"]


def test_a_role_that_may_only_read_is_told_in_one_line(postgres_url: str, valkey_url: str, tmp_path: Path) -> None:
    engine = open_engine(postgres_url, timeout=10)
    migrate(engine)
    engine.dispose()
    shell = Shell(tmp_path, redis_url=valkey_url, shards=2, database_url=postgres_url)
    shell("post", "--file", "-", stdin=b"a\nb\nc\n")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET default_transaction_read_only = on")
    refused = shell("flush")
    assert refused.code in (1, 5)
    assert "read-only" in refused.err
    assert len(refused.err.splitlines()) == 1
    assert "pipeline" not in refused.err.lower()


@pytest.fixture
def on_sqlite(tmp_path: Path, sqlite_url: str, valkey_url: str) -> Shell:
    engine = open_engine(sqlite_url, timeout=10)
    migrate(engine)
    full = {"counter": "likes", "item": "full", "total": 2**63 - 1, "updated_at": datetime.now(UTC)}
    with writing(engine) as connection:
        connection.execute(insert(totals), full)
    engine.dispose()
    return Shell(tmp_path, redis_url=valkey_url, database_url=sqlite_url)


def test_a_flush_that_sets_something_aside_is_done_in_part(on_sqlite: Shell) -> None:
    on_sqlite("post", "--file", "-", stdin=b"full\nfree\n")
    flushed = on_sqlite("flush", "--json")
    assert flushed.code == 3
    assert flushed.json.items() >= {"items": 1, "delta": 1, "dead_letters": 1}.items()
    assert flushed.err == "1 entry could not be counted: set aside as dead letters; see likes dead-letters\n"
    assert on_sqlite("status", "--json").json["dead_letters"] == 1


def test_check_finds_a_redis_that_throws_likes_away(tmp_path: Path, own_valkey: Callable[..., RedisServer]) -> None:
    server = own_valkey("--maxmemory-policy", "allkeys-lru", "--appendonly", "no", "--maxmemory", "100mb")
    checked = Shell(tmp_path, redis_url=server.url)("check", "--json")
    assert checked.code == 1
    assert findings(checked.json, "error") == {"eviction": "allkeys-lru, 100 MiB: it throws likes away"}
    assert findings(checked.json, "warning").keys() == {"persistence"}


def test_who_may_not_look_is_not_told_that_nothing_is_pending(
    tmp_path: Path, own_valkey: Callable[..., RedisServer]
) -> None:
    server = own_valkey()
    with redis.Redis.from_url(server.url) as client:
        client.acl_setuser(
            "shy", enabled=True, passwords=["+hunter2"], keys="*", categories=["+@all"], commands=["-smembers"]
        )
    assert Shell(tmp_path, redis_url=server.url)("post", "a").code == 0
    shy = Shell(tmp_path, redis_url=server.url.replace("://", "://shy:hunter2@"))
    status = shy("status", "--json").json
    assert [status[name] for name in ("pending_items", "in_flight_batches", "oldest_pending_seconds")] == [None] * 3
    assert status["problems"][0].startswith("shard 0: Redis at")
    assert "oldest pending     unknown" in shy("status").out


def test_check_finds_what_may_not_be_asked_or_done(tmp_path: Path, own_valkey: Callable[..., RedisServer]) -> None:
    server = own_valkey("--appendonly", "yes")
    with redis.Redis.from_url(server.url) as client:
        client.acl_setuser(
            "shy",
            enabled=True,
            passwords=["+hunter2"],
            keys="*",
            categories=["+@all"],
            commands=["-config", "-evalsha", "-eval"],
        )
    checked = Shell(tmp_path, redis_url=server.url.replace("://", "://shy:hunter2@"))("check", "--json")
    assert checked.code == 1
    assert findings(checked.json, "error").keys() == {"permission"}
    assert "not told" in findings(checked.json, "warning")["persistence"]
    assert "hunter2" not in checked.out + checked.err
    assert findings(checked.json, "info")["LIKES_REDIS_URL"] == server.url.replace("://", "://shy:***@")


def test_warnings_count_only_where_strictness_is_asked_for(on_sqlite: Shell) -> None:
    assert on_sqlite("check", "--strict").code == 0
    misspelt = on_sqlite("check", "--json", redis_ulr="x")
    assert (misspelt.code, misspelt.json["ok"]) == (0, True)
    strictly = on_sqlite("check", "--json", "--strict", redis_ulr="x")
    assert (strictly.code, strictly.json["ok"]) == (1, False)
