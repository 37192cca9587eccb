"""Configurations that do not fit together, and foreign values at our keys: refused or survived, no harm to others."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from threading import Thread

import pytest
from sqlalchemy import Engine

from likes import LikeCounter
from likes.errors import AddFailed, InvalidInput, LikesError, RedisRefused, SettingsError, WrongRedis
from likes.sql.engine import open_engine
from tests.rig import Rig

SHARDS = 4
EVERYWHERE = {f"video:{number}": 1 for number in range(40)}


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, engine, shards=SHARDS) as rig:
        yield rig


def test_a_foreign_worker_with_more_shards_leaves_no_trace(rig: Rig) -> None:
    rig.likes.add(EVERYWHERE)
    rig.flush()
    with rig.new_worker(redis_name="laptop") as laptop:
        laptop.shards = 2 * SHARDS
        with pytest.raises(WrongRedis, match="belongs to the Redis redis, not to laptop"):
            laptop.flush()
    rig.likes.add(EVERYWHERE)
    rig.flush()
    assert rig.totals() == dict.fromkeys(EVERYWHERE, 2)


def test_likes_of_an_older_client_with_more_shards_are_counted_too(rig: Rig, valkey_url: str) -> None:
    rig.begin_older_epochs(range(8 * SHARDS))
    with LikeCounter(redis_url=valkey_url, shards=8 * SHARDS) as client:
        client.add(EVERYWHERE)
    rig.worker.flush()
    assert rig.totals() == EVERYWHERE


def test_a_shard_with_another_type_at_its_state_stops_no_other(rig: Rig) -> None:
    rig.likes.add(EVERYWHERE)
    rig.flush()
    rig.redis.delete(rig.key("state", shard=2))
    rig.redis.set(rig.key("state", shard=2), "not a hash")
    before = rig.totals()
    with pytest.raises(AddFailed, match=r"the key \{likes:2\}:\w+:state holds another type"):
        rig.likes.add(EVERYWHERE)
    with pytest.raises(RedisRefused, match=r"the key \{likes:2\}:\w+:state holds another type"):
        rig.flush()
    counted = sum(rig.totals().values()) - sum(before.values())
    assert 0 < counted < len(EVERYWHERE)


def test_without_getdel_a_flush_is_refused_and_nothing_set_aside(rig: Rig) -> None:
    rig.likes.add(EVERYWHERE)
    rig.redis.execute_command("ACL", "SETUSER", "default", "-getdel")
    try:
        with pytest.raises(RedisRefused, match=r"(?i)getdel|permission"):
            rig.flush()
    finally:
        rig.redis.execute_command("ACL", "SETUSER", "default", "+getdel")
    assert rig.dead_letters() == []
    rig.flush()
    assert rig.totals() == EVERYWHERE


def test_a_value_of_megabytes_at_a_delta_key_stops_nobody(rig: Rig) -> None:
    rig.likes.add({"large": 1, "small": 1})
    (key,) = rig.redis.keys("*:delta:likes:large")
    rig.redis.set(key, b"x" * 20_000_000)
    flushed = rig.flush()
    assert (flushed.items, flushed.dead_letters) == (1, 1)
    assert rig.totals() == {"small": 1}
    assert rig.dead_letters()[0].raw == b"x" * 2**16


@pytest.mark.parametrize("url", ["postgresql://user:p@ss@host/db", "mysql://user:p@ss/word@host/db"])
def test_a_password_with_an_at_sign_unescaped_is_not_shown(url: str) -> None:
    with pytest.raises(SettingsError, match="%40") as refused:
        open_engine(url, timeout=1)
    assert "ss@" not in str(refused.value)
    assert "word" not in str(refused.value).replace("password", "")


@pytest.mark.parametrize("url", ["redis://host/0?decode_responses=true", "http://host", "unix://"])
def test_a_url_that_changes_how_redis_is_used_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        LikeCounter(redis_url=url)


def test_a_server_that_is_not_redis_is_said_not_to_answer() -> None:
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as web:
        Thread(target=web.serve_forever, daemon=True).start()
        try:
            url = f"redis://127.0.0.1:{web.server_port}"
            with LikeCounter(redis_url=url, redis_timeout=1) as likes, pytest.raises(LikesError):
                likes.like("video:42")
        finally:
            web.shutdown()
