"""Status with a server away: the half that answers, since when the other is missed, and who is at work."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from likes.buffer.heartbeat import Doing, Heartbeat
from likes.buffer.leases import Leases
from likes.reports.status import read_status
from likes.sql.engine import open_engine
from likes.sql.ledger import Ledger
from likes.sql.schema import migrate
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.running_worker import RunningWorker
from tests.servers import PostgreSQL, RedisServer
from tests.shell import Shell
from tests.waiting import wait_until

NEVER = {"interval": 3600, "flush_at_items": 0}
OF_REDIS = ("pending_items", "in_flight_batches", "oldest_pending_seconds", "workers")
OF_THE_DATABASE = ("last_flush_at", "incidents", "dead_letters", "newest_incidents")


@pytest.fixture
def breakable(own_valkey: Callable[..., RedisServer], sqlite_engine: Engine) -> Iterator[tuple[RedisServer, Rig]]:
    server = own_valkey()
    with Rig(server.url, sqlite_engine, shards=2) as rig:
        yield server, rig


def shell_for(rig: Rig, folder: Path, **settings: object) -> Shell:
    given = {"redis_url": rig.places.redis_url(), "redis_name": "redis", "database_url": url_of(rig.engine)}
    return Shell(folder, shards=rig.shards, redis_timeout=1, database_timeout=1, **given, **settings)


def fields(shell: Shell) -> tuple[int, dict[str, Any]]:
    ran = shell("status", "--json")
    assert ran.err == ""
    return ran.code, json.loads(ran.out)


def test_with_redis_away_the_database_answers(breakable: tuple[RedisServer, Rig], tmp_path: Path) -> None:
    server, rig = breakable
    rig.likes.like("a")
    rig.flush()
    server.stop()
    before = datetime.now(UTC)
    code, now = fields(shell_for(rig, tmp_path))
    assert code == 5
    assert [now[name] for name in OF_REDIS] == [None] * 4
    assert (now["incidents"], now["dead_letters"], now["newest_incidents"]) == (0, 0, [])
    assert datetime.fromisoformat(now["last_flush_at"]) < before
    assert before.replace(microsecond=0) <= datetime.fromisoformat(now["redis_away_since"]) <= datetime.now(UTC)
    assert now["database_away_since"] is now["database_trouble"] is None
    assert now["redis_trouble"].startswith("Redis at 127.0.0.1")
    assert sorted(shard["cursor_seq"] for shard in now["shards"]) == [0, 1]
    assert {(shard["pending_items"], shard["in_flight_batches"], shard["seq"]) for shard in now["shards"]} == {
        (None, None, None)
    }

    told = shell_for(rig, tmp_path)("status", "-v")
    assert told.code == 5
    assert told.out.startswith("redis ")
    assert f"away since {now['redis_away_since'][:17]}" in told.out
    assert [line.split()[-1] for line in told.out.splitlines()[1:6]] == ["unknown"] * 5


def test_with_the_database_away_redis_answers(valkey_url: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path, redis_url=valkey_url, database_url="postgresql://u:hunter2@127.0.0.1:1/likes", shards=2)
    shell("post", "a")
    code, now = fields(shell)
    assert code == 5
    assert (now["pending_items"], now["in_flight_batches"], now["workers"]) == (1, 0, [])
    assert now["oldest_pending_seconds"] > 0
    assert [now[name] for name in OF_THE_DATABASE] == [None] * 4
    assert now["redis_away_since"] is now["redis_trouble"] is None
    assert now["database_away_since"].endswith("Z")
    assert now["database_trouble"].startswith("PostgreSQL at 127.0.0.1:1")
    told = shell("status")
    assert told.code == 5
    assert "unknown" in told.out
    assert "hunter2" not in told.out + told.err + json.dumps(now)


def test_with_both_away_it_says_so(tmp_path: Path) -> None:
    shell = Shell(tmp_path, redis_url="redis://127.0.0.1:1", database_url="mysql://u@127.0.0.1:1/likes")
    code, now = fields(shell)
    assert code == 5
    assert [now[name] for name in OF_REDIS + OF_THE_DATABASE] == [None] * 8
    assert now["redis_away_since"] and now["database_away_since"]


def test_a_command_that_goes_on_remembers_since_when(breakable: tuple[RedisServer, Rig]) -> None:
    server, rig = breakable
    buffer, ledger = rig.worker.buffer, rig.worker.ledger
    nowhere = Ledger(open_engine("postgresql://u@127.0.0.1:1/likes", timeout=1), "likes", "")
    server.stop()
    first = read_status(buffer, nowhere, 2)
    second = read_status(buffer, nowhere, 2, before=first)
    assert second.redis_away_since == first.redis_away_since
    assert second.database_away_since == first.database_away_since
    server.start()
    third = read_status(buffer, ledger, 2, before=second)
    assert third.redis_away_since is third.database_away_since is None
    server.stop()
    again = read_status(buffer, ledger, 2, before=third)
    assert again.redis_away_since and first.redis_away_since
    assert again.redis_away_since > first.redis_away_since


def test_workers_tell_what_they_do_and_go_when_they_end(valkey_url: str, sqlite_engine: Engine, tmp_path: Path) -> None:
    with Rig(valkey_url, sqlite_engine, shards=2) as rig:
        shell = shell_for(rig, tmp_path)
        with RunningWorker(shell, **NEVER) as worker:
            wait_until(lambda: fields(shell)[1]["workers"])
            code, now = fields(shell)
            assert code == 0
            (seen,) = now["workers"]
            assert seen["name"].endswith(f":{worker.process.pid}")
            assert seen["doing"] == "waiting"
            assert seen["since"] == seen["flushed_at"] <= seen["seen_at"]
            assert {seen[name][-1] for name in ("since", "flushed_at", "seen_at")} == {"Z"}
            assert seen["trouble"] is seen["database_away_since"] is None
            assert f":{worker.process.pid}, waiting since {seen['since']}, seen " in shell("status").out
            assert worker.stop() == 0
        assert fields(shell)[1]["workers"] == []
        assert "workers            none" in shell("status").out


def test_since_when_the_database_is_away_workers_know(
    own_postgres: PostgreSQL, valkey_url: str, tmp_path: Path
) -> None:
    engine = open_engine(own_postgres.url, timeout=10)
    migrate(engine)
    engine.dispose()
    shell = Shell(tmp_path, redis_url=valkey_url, database_url=own_postgres.url, shards=2)
    with RunningWorker(shell, interval=0.2) as worker:
        wait_until(lambda: fields(shell)[1]["workers"])
        own_postgres.stop()
        told = worker.wait_for("trouble")
        wait_until(lambda: fields(shell)[1]["workers"][0]["database_away_since"])
        _, now = fields(shell)
        (seen,) = now["workers"]
        assert now["database_away_since"] == seen["database_away_since"]
        assert seen["doing"] in ("retrying", "flushing")
        assert seen["trouble"].startswith("PostgreSQL at 127.0.0.1")
        away_since, told_at = (datetime.fromisoformat(at) for at in (now["database_away_since"], told["at"]))
        assert abs((away_since - told_at).total_seconds()) < 1
        own_postgres.start()
        worker.wait_for("recovered")
        wait_until(lambda: fields(shell)[1]["workers"][0]["trouble"] is None)


def test_a_worker_that_is_refused_leaves_no_trace(valkey_url: str, sqlite_engine: Engine, tmp_path: Path) -> None:
    with Rig(valkey_url, sqlite_engine, shards=2) as rig:
        rig.flush()
        keys = sorted(rig.redis.keys())
        with RunningWorker(shell_for(rig, tmp_path), redis_name="a-laptop") as worker:
            assert worker.wait() == 1
        assert sorted(rig.redis.keys()) == keys


def test_leases_are_shown_by_the_name_of_who_holds_them(valkey_url: str, sqlite_engine: Engine, tmp_path: Path) -> None:
    with Rig(valkey_url, sqlite_engine, shards=2) as rig:
        leases = Leases(rig.worker.buffer, 30)
        leases.take([0, 1])
        Heartbeat(rig.worker.buffer, "host:1", leases.token).beat(Doing("flushing", datetime.now(UTC)))
        assert "shards 0, 1 by host:1" in shell_for(rig, tmp_path)("status").out
