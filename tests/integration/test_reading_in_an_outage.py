"""Live totals while one of the servers is away: what is cached is read on, and nothing is stormed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from likes import AsyncLikeCounter, DatabaseUnavailable, RedisUnavailable
from likes.live.total import LiveTotal
from likes.opened import SQL_THREADS
from likes.sql.engine import open_engine
from likes.sql.schema import migrate
from likes.sql.totals import KnownTotals
from tests.conformance.test_reading_together import Count
from tests.rig import Rig
from tests.running_api import RunningApi
from tests.servers import PostgreSQL, RedisServer
from tests.shell import Shell

HOT, COLD = "video:hot", "video:cold"
AT_ONCE_SECONDS = 4.0  # on a busy machine; a call that waits for a server takes five and more


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> Count:
    """Statements that ask SQL for totals."""
    return Count(monkeypatch, KnownTotals, "_read", counted=lambda _self, members, _shards: members)


# Redis is away.


@pytest.fixture
def redis_server(own_valkey: Callable[..., RedisServer]) -> RedisServer:
    return own_valkey()


@pytest.fixture
def without_redis(redis_server: RedisServer, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(redis_server.url, sqlite_engine) as rig:
        rig.likes.like(HOT, 7)
        rig.flush()
        assert rig.likes.total(HOT) == 7
        rig.likes.like(HOT)
        redis_server.kill()
        yield rig
        redis_server.start()


def test_without_redis_the_database_answers_if_that_is_wanted(without_redis: Rig) -> None:
    live = without_redis.likes.live([HOT, COLD], or_database=True)
    assert live == {HOT: LiveTotal(7, 7, 0, 0, exact=False), COLD: LiveTotal(0, 0, 0, 0, exact=False)}
    with pytest.raises(RedisUnavailable):
        without_redis.likes.total(HOT)


def test_without_redis_the_database_is_not_stormed(without_redis: Rig, queries: Count) -> None:
    places = without_redis.places

    async def main() -> None:
        async with AsyncLikeCounter(redis_url=places.redis, database_url=places.database, shards=1) as likes:

            async def read(turn: int) -> LiveTotal:
                for _ in range(turn):
                    await asyncio.sleep(0)
                return (await likes.live([HOT], timeout=30, or_database=True))[HOT]

            found = await asyncio.gather(*map(read, range(500)))
            assert {*found} == {LiveTotal(7, 7, 0, 0, exact=False)}
            assert isinstance((await asyncio.gather(likes.total(HOT), return_exceptions=True))[0], RedisUnavailable)

    asyncio.run(main())
    assert 1 <= queries.most <= SQL_THREADS
    assert queries.calls <= 500


def test_without_redis_the_api_answers_what_the_database_holds(without_redis: Rig, tmp_path: Path) -> None:
    places = without_redis.places
    shell = Shell(tmp_path, redis_url=places.redis, database_url=places.database, shards=1, redis_timeout=1)
    with RunningApi(shell) as api:
        hot = api.client.get(f"/v1/items/{HOT}")
        both = api.client.get("/v1/items", params={"item": [HOT, COLD]})
    assert (hot.status_code, both.status_code) == (200, 200)
    assert hot.json().items() >= {"item": HOT, "total": 7, "database": 7, "pending": 0, "exact": False}.items()
    assert [(each["total"], each["exact"]) for each in both.json()["items"]] == [(7, False), (0, False)]


def test_a_redis_that_is_mute_leaves_time_for_the_database(redis_server: RedisServer, sqlite_engine: Engine) -> None:
    with Rig(redis_server.url, sqlite_engine) as rig:
        rig.likes.like(HOT, 7)
        rig.flush()
        redis_server.pause()
        try:
            assert rig.likes.live([HOT], timeout=1, or_database=True) == {HOT: LiveTotal(7, 7, 0, 0, exact=False)}
            with pytest.raises(RedisUnavailable):
                rig.likes.live([HOT], timeout=0.2)
        finally:
            redis_server.resume()
        assert rig.likes.live([HOT], or_database=True) == {HOT: LiveTotal(7, 7, 0, 0)}


# SQL is away.


@pytest.fixture
def rig(valkey_url: str, own_postgres: PostgreSQL) -> Iterator[Rig]:
    """The hot item is cached, and a like of it is pending."""
    engine = open_engine(own_postgres.create("likes"), timeout=10)
    migrate(engine)
    with Rig(valkey_url, engine) as rig:
        rig.likes.like(HOT, 7)
        rig.flush()
        assert rig.likes.total(HOT) == 7
        rig.likes.like(HOT)
        yield rig
    engine.dispose()


@pytest.fixture(params=["stopped", "mute"])
def take_sql_away(own_postgres: PostgreSQL, request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    """It refuses connections from then on, or answers nobody."""
    is_mute = request.param == "mute"

    def take_away() -> None:
        own_postgres.disconnect("likes")
        if is_mute:
            own_postgres.pause()
        else:
            own_postgres.kill()

    yield take_away
    if is_mute:
        own_postgres.resume()


def is_near_its_end(rig: Rig) -> None:
    """Whoever reads the hot item next is to refresh it."""
    total, cursor, generation, filled, _, _ = rig.redis.get(key := rig.key(f"total:likes:{HOT}")).split()
    ends = rig.redis.time()[0] * 1000 + 60_000
    hours = 10**15  # what the query took; the longer, the earlier a total is refreshed
    rig.redis.set(key, b"%s %s %s %s %d %d" % (total, cursor, generation, filled, ends, hours), px=60_000)
    rig.redis.delete(rig.key(f"fill:likes:{HOT}"))


def took(call: Callable[[], Any]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def test_without_sql_hits_go_on_at_once_and_misses_fail(rig: Rig, take_sql_away: Callable[[], None]) -> None:
    take_sql_away()
    assert took(lambda: rig.likes.total(HOT)) < AT_ONCE_SECONDS
    assert rig.likes.total(HOT) == 8
    with pytest.raises(DatabaseUnavailable):
        rig.likes.live([COLD], timeout=1)
    with pytest.raises(DatabaseUnavailable):
        rig.likes.live([HOT, COLD], timeout=1)
    rig.likes.like(HOT)
    assert rig.likes.live([HOT])[HOT] == LiveTotal(9, 7, 0, 2)


def test_without_sql_a_hit_that_was_to_be_refreshed_is_told_all_the_same(
    rig: Rig, take_sql_away: Callable[[], None]
) -> None:
    take_sql_away()
    for _ in range(2):
        is_near_its_end(rig)
        assert took(lambda: rig.likes.total(HOT)) < AT_ONCE_SECONDS
        assert rig.likes.total(HOT) == 8


def test_without_sql_a_miss_neither_delays_nor_fails_a_hit_of_the_same_turn(
    rig: Rig, take_sql_away: Callable[[], None]
) -> None:
    async def main() -> None:
        places = rig.places
        async with AsyncLikeCounter(redis_url=places.redis, database_url=places.database, shards=1) as likes:
            assert await likes.total(HOT) == 8
            await asyncio.to_thread(take_sql_away)
            for near_its_end in (False, True):
                if near_its_end:
                    await asyncio.to_thread(is_near_its_end, rig)
                miss = asyncio.create_task(likes.total(COLD, timeout=3))
                hits = [asyncio.create_task(likes.total(HOT, timeout=3)) for _ in range(50)]
                assert await asyncio.gather(*hits) == [8] * 50
                assert not miss.done(), "they wait for nobody"
                with pytest.raises(DatabaseUnavailable):
                    await miss

    asyncio.run(main())
