"""What the tasks of an event loop read in one turn is read together, and nobody suffers from what another one reads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import pytest
from sqlalchemy import Engine

from likes import AsyncLikeCounter, RedisRefused
from likes.buffer.links.event_loop import EventLoopLink
from likes.items import shard_of
from likes.sql.totals import KnownTotals
from tests.rig import Rig

SHARDS = 16
ITEMS = {f"video:{n}": n % 7 + 1 for n in range(300)}


@pytest.fixture
def rig(valkey_url: str, sqlite_engine: Engine) -> Iterator[Rig]:
    with Rig(valkey_url, sqlite_engine, shards=SHARDS) as rig:
        rig.likes.add(ITEMS)
        rig.flush()
        yield rig


@pytest.fixture
def likes(rig: Rig) -> AsyncLikeCounter:
    return AsyncLikeCounter(redis_url=rig.places.redis, database_url=rig.places.database)


class Count:
    """How often a method was called, and how many calls were going on at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: type, method: str, *, counted: Any = None) -> None:
        self.calls = self.most = self._now = 0
        lock, real = Lock(), getattr(owner, method)

        def counting(*arguments: Any) -> Any:
            if counted is not None and not counted(*arguments):
                return real(*arguments)
            with lock:
                self.calls += 1
                self._now += 1
                self.most = max(self.most, self._now)
            try:
                return real(*arguments)
            finally:
                with lock:
                    self._now -= 1

        monkeypatch.setattr(owner, method, counting)


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> Count:
    """Statements that ask SQL for totals."""
    return Count(monkeypatch, KnownTotals, "_read", counted=lambda _self, members, _shards: members)


@pytest.fixture
def round_trips(monkeypatch: pytest.MonkeyPatch) -> Count:
    return Count(monkeypatch, EventLoopLink, "send")


def scripts_run(rig: Rig) -> int:
    return int(rig.redis.info("commandstats")["cmdstat_evalsha"]["calls"])


async def read_all(likes: AsyncLikeCounter) -> list[int | BaseException]:
    """A task for each item."""
    return await asyncio.gather(*map(likes.total, ITEMS), return_exceptions=True)


def test_three_hundred_reads_of_a_turn_are_a_script_call_a_shard(
    rig: Rig, likes: AsyncLikeCounter, queries: Count, round_trips: Count
) -> None:
    async def main() -> None:
        async with likes:
            assert await read_all(likes) == [*ITEMS.values()]
            assert queries.calls == 1  # for all of them
            calls, trips = scripts_run(rig), round_trips.calls
            assert await read_all(likes) == [*ITEMS.values()]
            assert scripts_run(rig) - calls == SHARDS
            assert round_trips.calls - trips == 1
            assert queries.calls == 1

    asyncio.run(main())


def test_readers_of_the_same_items_share_a_turn_however_many_they_are(
    rig: Rig, likes: AsyncLikeCounter, round_trips: Count
) -> None:
    many = {f"many:{n}": 1 for n in range(500)}
    rig.likes.add(many)

    async def main() -> None:
        async with likes:
            await likes.totals(many)
            before = round_trips.calls
            assert await asyncio.gather(*(likes.totals(many) for _ in range(50))) == [many] * 50
            assert round_trips.calls - before == 1
            more = [*many, "another"]
            found = await asyncio.gather(*map(likes.totals, (many, more, ["yet another"])))
            assert found == [many, many | {"another": 0}, {"yet another": 0}]

    asyncio.run(main())


def test_a_damaged_shard_fails_only_its_own_reads(rig: Rig, likes: AsyncLikeCounter) -> None:
    damaged = shard_of(b"video:0", SHARDS)
    key = rig.key("in_flight", damaged)
    rig.redis.set(key, "x")

    async def main() -> None:
        async with likes:
            for _ in range(2):  # missing, then cached
                for (item, count), found in zip(ITEMS.items(), await read_all(likes), strict=True):
                    if shard_of(item.encode(), SHARDS) == damaged:
                        assert isinstance(found, RedisRefused) and key in str(found)
                    else:
                        assert found == count

    asyncio.run(main())


def test_a_reader_that_is_cancelled_takes_nothing_from_the_others(rig: Rig, likes: AsyncLikeCounter) -> None:
    async def main() -> None:
        async with likes:
            for turns in range(6):  # of the loop, before it is cancelled
                tasks = [asyncio.create_task(likes.total(item)) for item in ITEMS]
                twin = asyncio.create_task(likes.total("video:0"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                tasks[0].cancel()
                found = await asyncio.gather(*tasks, return_exceptions=True)
                assert found[1:] == [*ITEMS.values()][1:]
                assert await twin == ITEMS["video:0"]

    asyncio.run(main())


def test_a_loop_in_each_thread_reads_for_itself(rig: Rig, likes: AsyncLikeCounter) -> None:
    def work(_: int) -> list[list[int | BaseException]]:
        async def read() -> list[list[int | BaseException]]:
            return [await read_all(likes) for _ in range(5)]

        return asyncio.run(read())

    with ThreadPoolExecutor(4) as threads:
        assert [*threads.map(work, range(4))] == [[[*ITEMS.values()]] * 5] * 4
    asyncio.run(likes.close())


def test_threads_read_at_once(rig: Rig, queries: Count) -> None:
    """Each item is asked for once: one of them fills, the others wait."""
    with ThreadPoolExecutor(8) as threads:
        assert [*threads.map(rig.likes.totals, [[*ITEMS]] * 40)] == [ITEMS] * 40
    assert queries.calls <= 8 + SHARDS
