"""`likes reshard` on a Redis Cluster: shard 0, which all go by, is on one node, and most others are elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from likes import AsyncLikeCounter, LikeCounter, WrongShards
from likes.sql.urls import url_of
from tests.clusters import Cluster
from tests.rig import Rig

ITEMS = {f"video:{number}": number % 7 + 1 for number in range(100)}


def test_the_number_of_shards_is_changed_there_and_back(
    cluster: Cluster, new_rig: Callable[..., Rig], sqlite_engine: Engine
) -> None:
    rig, places = new_rig(shards=16), {"redis_url": cluster.url, "database_url": url_of(sqlite_engine)}

    async def once(shards: int) -> int:
        async with AsyncLikeCounter(**places, shards=shards) as likes:
            assert await likes.totals([*ITEMS]) == expected
            return await likes.like_once("once", 3, key=b"k")

    for number, before in ((4, 16), (32, 4), (16, 32)):
        with LikeCounter(**places, shards=before) as likes:
            likes.add(ITEMS)
            expected = likes.totals(ITEMS)
            assert asyncio.run(once(before)) == 3
            assert rig.reshard(number) == before
            for call in (likes.add, likes.totals):
                with pytest.raises(WrongShards):
                    call(ITEMS)
        assert asyncio.run(once(number)) == 3
    assert rig.likes.totals(ITEMS) == {item: 3 * count for item, count in ITEMS.items()}
    rig.flush()
    assert rig.totals() == {**{item: 3 * count for item, count in ITEMS.items()}, "once": 3}
    assert (rig.kinds(), rig.dead_letters()) == ([], [])


def test_clients_of_two_numbers_meet_in_shard_0(cluster: Cluster, new_rig: Callable[..., Rig]) -> None:
    rig = new_rig(shards=16)
    with LikeCounter(redis_url=cluster.url, shards=4) as four:
        four.like("video:1")
    with pytest.raises(WrongShards):
        rig.likes.add(ITEMS)
    assert sum(bool(rig.epoch(shard)) for shard in range(16)) <= 2
