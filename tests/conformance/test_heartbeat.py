"""Workers tell what they do, for people to see: what is told, when it is forgotten, and that nothing depends on it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import msgpack
import pytest
import redis

from likes import RedisFull
from likes.buffer import heartbeat as heartbeat_module
from likes.buffer.buffer import Buffer
from likes.buffer.heartbeat import Doing, Heartbeat, SeenWorker, read_workers
from likes.connect import Places
from tests.servers import RedisServer
from tests.waiting import wait_until

WORKERS = "{likes:0}:workers"
WAITING = Doing("waiting", datetime(2026, 1, 31, 12, tzinfo=UTC))


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def buffer(redis_url: str) -> Iterator[Buffer]:
    places = Places(redis_url, None, None, redis_timeout=5, database_timeout=5)
    with places.open_buffer("likes") as buffer:
        yield buffer


def seen(buffer: Buffer) -> list[SeenWorker]:
    workers = read_workers(buffer)
    assert workers is not None
    return workers


def test_what_workers_say_is_read_by_their_names(buffer: Buffer) -> None:
    busy = Doing("retrying", WAITING.since, WAITING.since, "no route", WAITING.since)
    Heartbeat(buffer, "b:2", "token b").beat(WAITING)
    Heartbeat(buffer, "a:1", "token a").beat(busy)
    a, b = seen(buffer)
    assert (a.name, a.token, a.said) == ("a:1", "token a", busy)
    assert (b.name, b.token, b.said) == ("b:2", "token b", WAITING)
    assert abs(a.seen_at.timestamp() - buffer.now()) < 5


def test_many_workers_are_all_shown(buffer: Buffer) -> None:
    for number in range(200):
        Heartbeat(buffer, f"worker {number:03}", str(number)).beat(WAITING)
    assert [worker.name for worker in seen(buffer)] == [f"worker {number:03}" for number in range(200)]


def test_it_tells_every_few_seconds_or_at_once(buffer: Buffer) -> None:
    now = 100.0
    heartbeat = Heartbeat(buffer, "a", "a", clock=lambda: now)
    heartbeat.beat(WAITING)
    flushing = Doing("flushing", WAITING.since)
    heartbeat.beat(flushing)
    assert seen(buffer)[0].said == WAITING
    now += heartbeat_module.EVERY_SECONDS
    heartbeat.beat(flushing)
    assert seen(buffer)[0].said == flushing
    heartbeat.beat(WAITING, at_once=True)
    assert seen(buffer)[0].said == WAITING


def test_one_that_ends_is_gone_at_once_and_one_that_never_spoke_writes_nothing(buffer: Buffer, client: Any) -> None:
    silent, heartbeat = Heartbeat(buffer, "a", "a"), Heartbeat(buffer, "b", "b")
    heartbeat.beat(WAITING)
    silent.end()
    assert len(seen(buffer)) == 1
    heartbeat.end()
    assert seen(buffer) == []
    assert client.keys() == []


def test_the_silent_are_not_shown_and_then_forgotten(
    buffer: Buffer, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Heartbeat(buffer, "killed", "killed").beat(WAITING)
    monkeypatch.setattr(heartbeat_module, "ALIVE_SECONDS", 0.05)
    wait_until(lambda: seen(buffer) == [])
    assert client.hkeys(WORKERS) == [b"killed"]
    monkeypatch.setattr(heartbeat_module, "ALIVE_SECONDS", 60)
    old = msgpack.packb([int((time.time() - 61) * 1000), "{}"])
    recent = msgpack.packb([int((time.time() - 50) * 1000), "{}"])
    client.hset(
        WORKERS,
        mapping={
            "old": old,
            "recent": recent,
            "strange": "no msgpack",
            "stranger": msgpack.packb(1),
            "strangest": msgpack.packb(["?"]),
        },
    )
    Heartbeat(buffer, "alive", "alive").beat(WAITING)
    assert {*client.hkeys(WORKERS)} == {b"killed", b"recent", b"alive"}


def test_what_no_worker_wrote_is_passed_over(buffer: Buffer, client: Any) -> None:
    strange = ["", "no msgpack", msgpack.packb(7), msgpack.packb([1]), msgpack.packb([time.time() * 1000, "[]"])]
    strange += [msgpack.packb([time.time() * 1000, '{"name": 1, "since": 3}']), msgpack.packb([10**18, "{}"])]
    client.hset(WORKERS, mapping=dict(enumerate(strange)))
    assert seen(buffer) == []


def test_a_later_version_may_say_more(buffer: Buffer, client: Any) -> None:
    said = '{"name": "later", "doing": "dreaming", "since": "2026-01-31T12:00:00+00:00", "mood": "good"}'
    client.hset(WORKERS, "token", msgpack.packb([time.time() * 1000, said]))
    assert seen(buffer)[0].said == Doing("dreaming", WAITING.since)


def shy(client: Any, redis_url: str, *denied: str) -> Places:
    """Servers as a user sees them to whom some commands are denied."""
    client.acl_setuser("shy", reset=True, enabled=True, nopass=True, keys="*", categories=["+@all"], commands=[*denied])
    return Places(redis_url.replace("://", "://shy:any@"), None, None, redis_timeout=5, database_timeout=5)


@pytest.fixture
def no_shy_user(client: Any) -> Iterator[None]:
    yield
    client.acl_deluser("shy")


@pytest.mark.usefixtures("no_shy_user")
def test_without_the_right_to_ask_the_time_its_own_clock_serves(buffer: Buffer, client: Any, redis_url: str) -> None:
    with shy(client, redis_url, "-time").open_buffer("likes") as untold:
        heartbeat = Heartbeat(untold, "a", "a")
        heartbeat.beat(WAITING)
        assert heartbeat.refused is None
    assert abs(seen(buffer)[0].seen_at - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.usefixtures("no_shy_user")
@pytest.mark.parametrize("denied", ["-hset", "-hscan", "-@scripting"])
def test_without_the_rights_for_it_all_else_goes_on(buffer: Buffer, client: Any, redis_url: str, denied: str) -> None:
    with shy(client, redis_url, denied).open_buffer("likes") as untold:
        heartbeat = Heartbeat(untold, "a", "a")
        heartbeat.beat(WAITING)
        assert heartbeat.refused
        assert (read_workers(untold) is None) == (denied == "-hscan")
    assert seen(buffer) == []


def test_a_key_of_another_type_harms_nobody(buffer: Buffer, client: Any) -> None:
    client.set(WORKERS, "in the way")
    heartbeat = Heartbeat(buffer, "a", "a")
    heartbeat.beat(WAITING)
    assert "WRONGTYPE" in str(heartbeat.refused)
    assert read_workers(buffer) is None


def test_with_redis_away_it_does_not_raise(own_valkey: Any) -> None:
    server: RedisServer = own_valkey()
    places = Places(server.url, None, None, redis_timeout=1, database_timeout=5)
    with closing(places.open_link()) as link:
        heartbeat = Heartbeat(Buffer(link, places.open_link, "likes", 250), "a", "a")
        server.stop()
        heartbeat.beat(WAITING)
        heartbeat.end()
        assert heartbeat.refused is None


def test_a_full_redis_takes_it_all_the_same(own_valkey: Any) -> None:
    server: RedisServer = own_valkey("--maxmemory", "1mb", "--maxmemory-policy", "noeviction")
    places = Places(server.url, None, None, redis_timeout=5, database_timeout=5)
    with places.open_buffer("likes") as buffer, redis.Redis.from_url(server.url) as client:
        with pytest.raises((RedisFull, redis.exceptions.OutOfMemoryError)):
            client.set("a", "b")
        heartbeat = Heartbeat(buffer, "a", "a")
        heartbeat.beat(WAITING)
        assert heartbeat.refused is None
        assert len(seen(buffer)) == 1
