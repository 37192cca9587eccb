"""Masters that die, hand over or come back: who waits is served by the next one, and what was counted stays counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from likes import AsyncLikeCounter, LikeCounter
from tests.cluster.traffic import SHARDS, Traffic, flushing
from tests.rig import Rig
from tests.running_servers import running
from tests.running_worker import RunningWorker
from tests.sentinels import PATIENCE, SERVICE, Node, Watched
from tests.shell import Shell
from tests.waiting import wait_until

NewRig = Callable[..., Rig]


@contextmanager
def needing_replicas(watched: Watched) -> Iterator[None]:
    """Whoever lacks one of two replicas refuses likes: so does a master that a replica has just left."""
    for each in watched.servers:
        each("CONFIG", "SET", "min-replicas-to-write", len(watched.servers) - 1)
    try:
        yield
    finally:
        for each in watched.servers:
            each("CONFIG", "SET", "min-replicas-to-write", 0)


def copied(watched: Watched, traffic: Traffic) -> int:
    """How many likes were acknowledged that all replicas have."""
    accepted = traffic.accepted
    offset = watched.master().offset()
    wait_until(lambda: all(each.offset() >= offset for each in watched.replicas()), PATIENCE)
    return accepted


def kill(watched: Watched) -> None:
    before = watched.master()
    with watched.failing_over_quickly():
        before.server.kill()
        watched.wait_for_a_master(before)


def hand_over(watched: Watched) -> None:
    with needing_replicas(watched):
        before = watched.fail_over()
        before("REPLICAOF", "127.0.0.1", watched.master().server.port)
        watched.wait_until_whole()


def hand_over_together(watched: Watched) -> None:
    """Only Valkey does: the master takes part, and takes no likes from before the replica has all."""
    before = watched.master()
    watched.sentinels[0]("SENTINEL", "FAILOVER", SERVICE, "COORDINATED")
    watched.wait_for_a_master(before)


@pytest.mark.parametrize("end", [kill, hand_over, hand_over_together])
def test_likes_wait_for_the_next_master(watched: Watched, new_rig: NewRig, end: Callable[[Watched], None]) -> None:
    rig = new_rig(shards=SHARDS, batch_items=50)
    rig.flush()
    before = watched.master()
    with Traffic(watched) as traffic, flushing(rig):
        safe = copied(watched, traffic)
        end(watched)
        watched.wait_for_a_master(before)
        traffic.goes_on()
        at_risk = traffic.accepted - safe
    assert traffic.errors == []
    rig.flush()
    lost = traffic.accepted - sum(rig.totals().values())
    assert 0 <= lost <= (0 if end is hand_over_together else at_risk)
    assert rig.kinds().count("redis_failed_over") == 1
    assert lost or (rig.kinds(), rig.dead_letters()) == (["redis_failed_over"], [])


def pending(node: Node, item: str) -> bytes | None:
    """What a server has pending of an item."""
    epoch = node("GET", "{likes:0}:epoch").decode()
    found: bytes | None = node("GET", f"{{likes:0}}:{epoch}:delta:likes:{item}")
    return found


def test_a_dead_master_that_comes_back_gets_nothing(watched: Watched, new_rig: NewRig) -> None:
    """It takes itself for the master, for ten seconds or so: the connections of who was idle lead to it again."""
    rig, before = new_rig(), watched.master()

    async def main() -> None:
        async with AsyncLikeCounter(redis_url=watched.url, shards=1) as likes:
            await likes.like("a")
            rig.likes.like("a")
            kill(watched)
            after = watched.master()
            before.server.start()
            await likes.like("a", timeout=PATIENCE)
            rig.likes.like("a", timeout=PATIENCE)
            assert pending(after, "a") == b"4"

    asyncio.run(main())


def test_a_master_that_somebody_else_demotes_is_left_once_sentinels_name_another() -> None:
    """Nobody cuts off its clients: it answers READONLY, on a connection that was a master's."""
    with running(lambda: Watched(servers=2, sentinels=1)) as watched, ThreadPoolExecutor() as pool:
        before, after = watched.servers
        with LikeCounter(redis_url=watched.url, shards=1) as likes:
            likes.like("a")
            wait_until(lambda: after("DBSIZE") == before("DBSIZE"), PATIENCE)
            after("REPLICAOF", "NO", "ONE")
            before("REPLICAOF", "127.0.0.1", after.server.port)
            waits = pool.submit(likes.like, "a", timeout=PATIENCE)
            wait_until(lambda: "errorstat_READONLY" in before("INFO", "errorstats").decode(), PATIENCE)
            (sentinel,) = watched.sentinels
            sentinel("SENTINEL", "REMOVE", SERVICE)
            sentinel("SENTINEL", "MONITOR", SERVICE, "127.0.0.1", after.server.port, 1)
            assert waits.result() == 2


def test_sentinels_cut_off_the_clients_of_a_master_they_demote(watched: Watched) -> None:
    before = watched.master()
    connection = redis.Connection(port=before.server.port, socket_timeout=PATIENCE)
    connection.connect()
    try:
        for sentinel in watched.sentinels:  # how often they look; ten seconds
            sentinel("SENTINEL", "DEBUG", "info-period", 500, "publish-period", 500)
        watched.fail_over()
        with pytest.raises(redis.ConnectionError, match="closed"):
            connection.read_response()
        wait_until(lambda: before.role() == "slave", PATIENCE)
    finally:
        for sentinel in watched.sentinels:
            sentinel("SENTINEL", "DEBUG", "info-period", 10_000, "publish-period", 2000)


def test_a_worker_goes_on_with_the_next_master_and_tells_of_it_once(watched: Watched, tmp_path: Path) -> None:
    shell = Shell(tmp_path, redis_url=watched.url, interval=0.5, shards=2)
    with RunningWorker(shell) as worker, LikeCounter(redis_url=watched.url, shards=2) as likes:
        likes.like("a")
        worker.wait_for("flushed")
        kill(watched)
        likes.like("a", timeout=PATIENCE)
        wait_until(lambda: shell("totals", "a", "--json").json[0]["total"] == 2, PATIENCE)
        assert worker.stop() == 0
    incidents = shell("incidents", "list", "--json").json
    assert [each["kind"] for each in incidents] == ["redis_failed_over"]
