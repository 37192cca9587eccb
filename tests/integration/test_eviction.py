"""Redis at its memory limit, under each eviction policy: cached totals may go, what is to be counted may not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from likes import RedisFull
from likes.sql.urls import url_of
from tests.rig import Rig
from tests.servers import RedisServer
from tests.shell import Shell

OwnValkey = Callable[..., RedisServer]

SHARDS = 4
LONG = "x" * 150
OLD = [f"old {n} {LONG}" for n in range(3000)]
FRESH = [f"new {n} {LONG}" for n in range(2000)]
SAFE = ("volatile-lru", "volatile-lfu", "volatile-ttl", "volatile-random")
UNSAFE = ("allkeys-lru", "allkeys-lfu", "allkeys-random")


@pytest.fixture
def rig(own_valkey: OwnValkey, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(own_valkey().url, sqlite_engine, shards=SHARDS) as rig:
        yield rig


def fill_the_cache(rig: Rig) -> None:
    rig.likes.add(dict.fromkeys(OLD, 2))
    rig.flush()
    assert rig.likes.totals(OLD) == dict.fromkeys(OLD, 2)
    assert cached(rig) == len(OLD)


def cached(rig: Rig) -> int:
    return sum(1 for _ in rig.redis.scan_iter("*:total:*", count=5000))


def limit_memory(rig: Rig, policy: str) -> None:
    """From now on Redis has room for a few likes more."""
    rig.redis.config_set("maxmemory-policy", policy)
    rig.redis.config_set("maxmemory", rig.redis.info("memory")["used_memory"] + 100_000)


def pending(rig: Rig) -> dict[str, int]:
    keys = [*rig.redis.scan_iter("*:delta:*", count=5000)]
    deltas = rig.redis.mget(keys) if keys else []
    return {key.decode().split(":likes:", 1)[1]: int(delta) for key, delta in zip(keys, deltas, strict=True)}


@pytest.mark.parametrize("policy", SAFE)
def test_cached_totals_go_and_every_delta_stays(rig: Rig, policy: str) -> None:
    fill_the_cache(rig)
    limit_memory(rig, policy)
    for first in range(0, len(FRESH), 100):
        rig.likes.add(dict.fromkeys(FRESH[first : first + 100], 3))
    assert 0 < cached(rig) < len(OLD) - 500
    assert pending(rig) == dict.fromkeys(FRESH, 3)
    assert rig.likes.totals([*OLD[:500], *FRESH]) == dict.fromkeys(OLD[:500], 2) | dict.fromkeys(FRESH, 3)
    rig.flush()
    assert rig.totals() == dict.fromkeys(OLD, 2) | dict.fromkeys(FRESH, 3)
    assert rig.incidents() == []
    assert rig.likes.totals(OLD) == dict.fromkeys(OLD, 2)


def test_without_eviction_likes_are_refused_and_cached_totals_still_answer(rig: Rig) -> None:
    fill_the_cache(rig)
    limit_memory(rig, "noeviction")
    accepted = 0
    with pytest.raises(RedisFull):
        for accepted, item in enumerate(FRESH):  # noqa: B007 (as many as were counted before the one refused)
            rig.likes.like(item, 3)
    assert cached(rig) == len(OLD)
    assert rig.likes.totals(OLD[:500]) == dict.fromkeys(OLD[:500], 2)
    assert rig.likes.total("never liked") == 0  # which cannot be cached now
    rig.flush()
    assert rig.totals() == dict.fromkeys(OLD, 2) | dict.fromkeys(FRESH[:accepted], 3)


def test_check_refuses_what_throws_likes_away_and_nothing_else(rig: Rig, tmp_path: Path) -> None:
    likes = Shell(tmp_path, redis_url=rig.places.redis_url(), database_url=url_of(rig.engine), shards=SHARDS)
    rig.redis.config_set("maxmemory", 500_000_000)
    refused = set()
    for policy in ("noeviction", "volatile-ttl", *UNSAFE):
        rig.redis.config_set("maxmemory-policy", policy)
        found = {each["name"]: each for each in likes("check", "--json").json["findings"]}
        assert policy in found["eviction"]["found"]
        if found["eviction"]["level"] == "error":
            refused.add(policy)
    assert refused == {*UNSAFE}
