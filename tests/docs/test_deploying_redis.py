"""docs/deploying.md: the rights in Redis are enough for all there is to do, and none of them is too many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine

from likes import LikeCounter, LikesError
from likes.connect import Places
from likes.metrics.looking import Look
from likes.metrics.tally import Snapshot
from likes.sessions.token import SESSION_SHARDS
from likes.sql.identity import make_id
from likes.sql.urls import url_of
from tests.docs.everyday import CODES, a_year
from tests.docs.users import (
    NAMES,
    rights,
    rights_to_wait,
    rules_of,
    set_user,
    url_for,
    use_as_an_application_does,
    use_sessions,
)
from tests.docs.whole_way import go_the_whole_way
from tests.running_api import RunningApi
from tests.running_worker import RunningWorker
from tests.scrapes import scrape
from tests.servers import RedisServer
from tests.shell import Shell


@pytest.fixture
def admin(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        for name in NAMES:
            set_user(client, name, rules_of(name))
        yield client
        client.acl_deluser(*NAMES)


def forget_everything(admin: redis.Redis) -> None:
    admin.flushall()
    admin.script_flush()


def denied(admin: redis.Redis) -> Any:
    """What was asked for and not allowed."""
    return admin.acl_log()


@pytest.fixture
def likes(tmp_path: Path, redis_url: str, sqlite_engine: Engine) -> Shell:
    worker = url_for(redis_url, "likes_worker")
    return Shell(tmp_path, redis_url=worker, database_url=url_of(sqlite_engine), shards=1)


def test_the_worker_may_do_all_that_it_does(likes: Shell, admin: redis.Redis, sqlite_engine: Engine) -> None:
    ran = list(a_year(likes, admin, sqlite_engine))
    assert [each.code for each in ran] == CODES, ran
    with RunningWorker(likes, flush_at_items=10) as worker:
        worker.wait_for("started")
        assert likes("post", "--file", "-", stdin=b"".join(b"%d\n" % i for i in range(20))).code == 0
        worker.wait_for("flushed")
        assert worker.stop() == 0
    checked = likes("check", "--json")
    assert checked.code == 0, checked
    warnings = [finding["name"] for finding in checked.json["findings"] if finding["level"] == "warning"]
    assert warnings == ["persistence", "incidents", "dead letters"]  # of this year
    assert {entry["object"].partition("|")[0] for entry in denied(admin)} == {"config", "likes-embedded:lineage"}


@pytest.mark.parametrize("redis_url", ["valkey"], indirect=True)
def test_the_worker_needs_every_right(likes: Shell, admin: redis.Redis, sqlite_engine: Engine) -> None:
    for right in rights("likes_worker"):
        forget_everything(admin)
        set_user(admin, "likes_worker", [rule for rule in rules_of("likes_worker") if rule != right])
        year = zip(a_year(likes, admin, sqlite_engine), CODES, strict=False)
        assert any(denied(admin) or ran.code != code for ran, code in year), right


@pytest.mark.parametrize("durability", ["aof", "replicas:1"])
def test_a_worker_that_waits_may_with_what_it_needs_besides(
    tmp_path: Path, own_valkey: Callable[..., RedisServer], sqlite_engine: Engine, durability: str
) -> None:
    server, needed = own_valkey("--appendfsync", "always"), rights_to_wait()[durability]
    likes = Shell(tmp_path, redis_url=url_for(server.url, "likes_worker"), database_url=url_of(sqlite_engine), shards=1)
    with redis.Redis.from_url(server.url) as admin:
        for without in needed:
            set_user(admin, "likes_worker", [*rules_of("likes_worker"), *(each for each in needed if each != without)])
            assert likes("flush", durability=durability).err.rstrip().endswith(f"; {without}")
        set_user(admin, "likes_worker", [*rules_of("likes_worker"), *needed])
        flushed = likes("flush", durability=durability)
        assert flushed.code == 0 or "no replica follows it" in flushed.err
        assert {entry["object"] for entry in denied(admin)} <= {"likes-embedded:lineage"}


def test_each_user_goes_the_whole_way_with_a_worker_that_waits_for_the_disk(
    tmp_path: Path, own_valkey: Callable[..., RedisServer], sqlite_engine: Engine
) -> None:
    server = own_valkey("--appendfsync", "always")
    with redis.Redis.from_url(server.url) as admin:
        for name in NAMES:
            more = rights_to_wait()["aof"] if name == "likes_worker" else []
            set_user(admin, name, [*rules_of(name), *more])
        go_the_whole_way(lambda name: url_for(server.url, name), sqlite_engine, tmp_path, durability="aof")
        assert {entry["object"] for entry in denied(admin)} <= {"likes-embedded:lineage"}


def places_of(name: str, redis_url: str, admin: redis.Redis, engine: Engine) -> Places:
    """Both servers as a user sees them once there was a flush: the shards belong to the database."""
    database = make_id(engine)
    for shard in range(SESSION_SHARDS):
        admin.set(f"{{likes:{shard}}}:owner", database)
    return Places(url_for(redis_url, name), url_of(engine), None, redis_timeout=5, database_timeout=5)


def test_an_application_may_do_all_that_it_does(admin: redis.Redis, redis_url: str, sqlite_engine: Engine) -> None:
    use_as_an_application_does(places_of("likes_app", redis_url, admin, sqlite_engine))
    assert denied(admin) == []


def test_an_application_needs_every_right(admin: redis.Redis, redis_url: str, sqlite_engine: Engine) -> None:
    for right in rights("likes_app"):
        forget_everything(admin)
        set_user(admin, "likes_app", [rule for rule in rules_of("likes_app") if rule != right])
        try:
            use_as_an_application_does(places_of("likes_app", redis_url, admin, sqlite_engine))
        except LikesError:
            continue
        assert denied(admin), right  # gone without


@pytest.fixture
def places(redis_url: str, admin: redis.Redis, sqlite_engine: Engine) -> Places:
    return places_of("likes_api", redis_url, admin, sqlite_engine)


def test_an_api_may_do_all_that_it_does(places: Places, admin: redis.Redis) -> None:
    asyncio.run(use_sessions(places))
    use_as_an_application_does(places)
    assert denied(admin) == []


def test_an_api_needs_every_right(places: Places, admin: redis.Redis) -> None:
    for right in [right for right in rights("likes_api") if right not in rights("likes_app")]:
        set_user(admin, "likes_api", [rule for rule in rules_of("likes_api") if rule != right])
        with suppress(LikesError, AssertionError, ValueError):
            asyncio.run(use_sessions(places))
        if not denied(admin):
            scraped(places)
        assert denied(admin), right


def scraped(places: Places) -> Snapshot:
    """What `/metrics` tells of both servers."""
    with closing(Look(places, "likes", 1, 300)) as look:
        return look()


def test_an_application_moves_nothing(admin: redis.Redis, redis_url: str) -> None:
    with LikeCounter(redis_url=url_for(redis_url, "likes_app"), shards=1) as counter:
        counter.like("video:42")
    epoch = admin.get("{likes:0}:epoch").decode()
    with redis.Redis.from_url(url_for(redis_url, "likes_app"), protocol=2) as app:
        for forbidden in (["GETDEL", f"{{likes:0}}:{epoch}:delta:likes:video:42"], ["FLUSHALL"], ["GET", "elsewhere"]):
            with pytest.raises(redis.exceptions.NoPermissionError):
                app.execute_command(*forbidden)


def test_an_api_tells_how_things_stand(admin: redis.Redis, redis_url: str, sqlite_url: str, tmp_path: Path) -> None:
    likes = Shell(tmp_path, redis_url=url_for(redis_url, "likes_api"), database_url=sqlite_url)
    assert likes("migrate").code == 0
    with RunningApi(likes) as api:
        assert api.client.post("/v1/items/a/likes").status_code == 202
        seen = scrape(api.address)
    assert (seen("likes_up", server="redis"), seen("likes_pending_items"), seen("likes_problems")) == (1, 1, 0)
    assert seen("likes_workers") == 0
    assert (seen("likes_redis_memory_used_bytes") or 0) > 0
    assert not denied(admin)
