"""`likes worker` that waits for replicas: refused where there are none at its start, waiting where they go later."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from likes import LikeCounter
from likes.reports.status import read_status
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.running_worker import RunningWorker
from tests.servers import RedisServer
from tests.shell import Shell
from tests.waiting import wait_until


@pytest.fixture
def server(own_valkey: Callable[..., RedisServer]) -> RedisServer:
    return own_valkey("--repl-diskless-sync-delay", "0")


@pytest.fixture
def likes(tmp_path: Path, server: RedisServer, sqlite_engine: Engine) -> Shell:
    settings = {"redis_url": server.url, "database_url": url_of(sqlite_engine), "shards": 2, "interval": 1}
    return Shell(tmp_path, durability="replicas:1", redis_timeout=2, **settings)


def follow(replica: RedisServer, master: RedisServer) -> None:
    with redis.Redis.from_url(replica.url) as client:
        client.replicaof("127.0.0.1", master.port)
        wait_until(lambda: client.info("replication")["master_link_status"] == "up", timeout=30)


def test_without_replicas_it_does_not_start(likes: Shell, server: RedisServer) -> None:
    words = "LIKES_DURABILITY is replicas:1, but no replica follows it"
    with RunningWorker(likes) as worker:
        assert worker.wait() == 1
        assert words in worker.wait_for("finding")["message"]
        assert words in worker.wait_for("failed")["message"]
    flushed = likes("flush")
    assert (flushed.code, words in flushed.err) == (1, True)
    with redis.Redis.from_url(server.url) as client:
        assert client.dbsize() == 0


def test_with_its_replica_gone_it_waits_and_says_so(
    likes: Shell, server: RedisServer, own_valkey: Callable[..., RedisServer], sqlite_engine: Engine
) -> None:
    replica = own_valkey()
    follow(replica, server)
    with Rig(server.url, sqlite_engine, shards=2) as rig, LikeCounter(redis_url=server.url, shards=2) as counter:
        with RunningWorker(likes) as worker:
            counter.like("a")
            wait_until(lambda: rig.totals() == {"a": 1}, timeout=30)
            replica.kill()
            counter.like("a")
            assert "LIKES_DURABILITY is replicas:1" in worker.wait_for("trouble")["message"]
            assert rig.totals() == {"a": 1}
            replica.start()
            follow(replica, server)
            wait_until(lambda: rig.totals() == {"a": 2}, timeout=30)
            worker.wait_for("recovered")
            replica.kill()
            counter.like("a")
            worker.wait_for("trouble", times=2)
            assert worker.stop(signal.SIGTERM) == 0
            # The server may not have noticed yet that its replica is gone, and then hands off first.
            assert re.search(r"1 items are pending in Redis and 0 |\b0 .* and 1 batches in flight", left(worker))
        assert rig.totals() == {"a": 2}


def left(worker: RunningWorker) -> str:
    return str(worker.wait_for("left")["message"])


def test_workers_that_differ_are_named(likes: Shell, server: RedisServer, sqlite_engine: Engine) -> None:
    with Rig(server.url, sqlite_engine, shards=2) as rig, RunningWorker(likes, durability="none") as one:
        rig.likes.like("a")
        one.wait_for("flushed")
        rig.redis.config_set("appendfsync", "always")
        with RunningWorker(likes, durability="aof") as other:
            status = wait_until(lambda: problems(rig), timeout=30)
            assert "has none" in status and "has aof" in status
            assert "has none: what one leaves in flight" in other.wait_for("finding")["message"]
        told = likes("status", "--json").json["workers"]
        assert {worker["durability"] for worker in told} == {"none", "aof"}


def problems(rig: Rig) -> str:
    return " ".join(read_status(rig.worker.buffer, rig.worker.ledger, 2).problems)
