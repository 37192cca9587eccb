"""`likes cache`: warm, stats and clear."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from likes.sql.urls import url_of
from tests.rig import Rig
from tests.servers import RedisServer, free_port
from tests.shell import Shell

ITEMS = {f"video:{n}": n + 1 for n in range(1200)}
FIELDS = {"hits", "misses", "early_refreshes", "waits", "entries"}


@pytest.fixture
def rig(valkey_url: str, engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, engine, shards=4) as rig:
        yield rig


@pytest.fixture
def likes(rig: Rig, tmp_path: Path) -> Shell:
    return Shell(tmp_path, redis_url=rig.places.redis_url(), database_url=url_of(rig.engine), shards=4)


def cached(rig: Rig) -> set[str]:
    return {key.decode().split(":likes:", 1)[1] for key in rig.redis.scan_iter("*:total:likes:*", count=5000)}


def test_the_largest_totals_are_cached_ahead_of_traffic(rig: Rig, likes: Shell) -> None:
    rig.likes.add(ITEMS)
    rig.flush()
    assert likes("cache", "warm", "--top", "1100").out == "1,100 totals cached\n"
    assert cached(rig) == {item for item, count in ITEMS.items() if count > 100}
    stats = likes("cache", "stats", "--json").json
    assert stats.keys() == FIELDS
    assert (stats["entries"], stats["hits"]) == (1100, 0)
    assert stats["misses"] >= 500  # of each process those of its last second are not told
    assert likes("cache", "warm", "--top", "1100", "--json").json == {"items": 1100}
    again = likes("cache", "stats", "--json").json
    assert again["hits"] > 0 and again["misses"] == stats["misses"]
    assert likes("cache", "clear").out == "1,100 totals dropped\n"
    assert cached(rig) == set()
    assert likes("cache", "clear", "--json").json == {"dropped": 0}


def test_more_than_there_are_and_none_at_all(rig: Rig, likes: Shell) -> None:
    assert likes("cache", "warm", "--json").json == {"items": 0}
    rig.likes.like("video:1")
    rig.likes.like("video:1", counter="views")
    rig.flush()
    assert likes("cache", "warm").out == "1 total cached\n"
    assert likes("cache", "warm", "--counter", "views", "--top", "5", "--json").json == {"items": 1}
    assert likes("cache", "stats", "--json").json["entries"] == 2
    assert likes("cache", "clear").out == "2 totals dropped\n"


def test_stats_for_people(rig: Rig, likes: Shell) -> None:
    rig.likes.like("video:1")
    rig.flush()
    lines = [line.split() for line in likes("cache", "stats").out.splitlines()]
    assert [" ".join(words[:-1]) for words in lines] == ["hits", "misses", "early refreshes", "waits", "entries"]
    assert [words[-1] for words in lines] == ["0"] * 5


def test_another_namespace_keeps_its_own(rig: Rig, likes: Shell) -> None:
    rig.likes.like("video:1")
    rig.flush()
    rig.likes.total("video:1")
    assert likes("cache", "clear", prefix="another").out == "0 totals dropped\n"
    assert cached(rig) == {"video:1"}


def test_what_is_cleared_is_read_again(rig: Rig, likes: Shell) -> None:
    rig.likes.add(ITEMS)
    rig.flush()
    rig.likes.add(ITEMS)
    assert likes("cache", "warm").code == 0
    assert likes("cache", "clear").code == 0
    assert rig.likes.totals(ITEMS) == {item: 2 * count for item, count in ITEMS.items()}


@pytest.mark.parametrize("words", [["warm"], ["stats"], ["clear"]])
def test_without_redis_each_says_so_in_a_line(rig: Rig, likes: Shell, words: list[str]) -> None:
    rig.likes.like("video:1")
    rig.flush()
    ran = likes("cache", *words, redis_url=f"redis://127.0.0.1:{free_port()}")
    assert (ran.code, ran.out) == (5, "")
    assert "cannot be reached" in ran.err and len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("top", ["0", "-1", "x", str(10**10)])
def test_a_number_that_is_none_is_a_usage_error(likes: Shell, top: str) -> None:
    assert likes("cache", "warm", "--top", top).code == 2


def test_a_full_redis_is_told(own_valkey: Callable[..., RedisServer], sqlite_engine: Engine, tmp_path: Path) -> None:
    """Nothing can be cached then, and nobody should believe it was."""
    with Rig(own_valkey().url, sqlite_engine, shards=4) as rig:
        rig.likes.add(ITEMS)
        rig.flush()
        rig.redis.config_set("maxmemory", 1)
        likes = Shell(tmp_path, redis_url=rig.places.redis_url(), database_url=url_of(rig.engine), shards=4)
        warmed = likes("cache", "warm", "--json")
        assert (warmed.code, warmed.json) == (3, {"items": 0})
        assert warmed.err.startswith("1,000 totals could not be cached: Redis is full")
