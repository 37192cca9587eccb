"""Slots that move to another node while likes come in: none is lost, none counts twice, and nobody notices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from sqlalchemy import Engine

from likes import AsyncLikeCounter, LikeCounter, RedisUnavailable, ShardMoving
from likes.sql.urls import url_of
from tests.cluster.traffic import PATIENCE, SHARDS, Traffic, flushing, items_of
from tests.clusters import Cluster, ClusterNode, slot_of_shard
from tests.rig import Rig
from tests.running_worker import RunningWorker
from tests.shell import Shell
from tests.waiting import wait_until
from worker.arrivals import note_server

NewRig = Callable[..., Rig]


def test_two_slots_move_key_by_key_to_an_empty_node(cluster: Cluster, new_rig: NewRig) -> None:
    rig, seventh = new_rig(shards=SHARDS, batch_items=50), cluster.new_node()
    rig.flush()
    with Traffic(cluster) as traffic, flushing(rig):
        for shard in (1, 2):
            cluster.move_slot(slot_of_shard(shard), seventh)
            traffic.goes_on()
    assert traffic.errors == []
    rig.flush()
    assert sum(rig.totals().values()) == traffic.accepted
    assert rig.dead_letters() == []
    assert rig.incidents() == []
    assert seventh.client.dbsize() > 0


def test_a_shard_on_two_nodes_takes_likes_of_what_is_pending_and_is_not_flushed(
    cluster: Cluster, new_rig: NewRig
) -> None:
    rig, shard = new_rig(shards=SHARDS, batch_items=1), 1
    mine, other = items_of(shard), items_of(2, 20)  # five rows of batches
    rig.likes.add(dict.fromkeys([*mine[:2], *other], 1))
    rig.flush()
    rig.likes.add(dict.fromkeys([*mine[:2], *other], 1))
    to = next(node for node in cluster.masters() if node is not cluster.owner(slot_of_shard(shard)))
    source = cluster.open_slot(slot_of_shard(shard), to)
    assert rig.likes.like(mine[0]) == 2  # all its keys are there
    with pytest.raises(RedisUnavailable, match="is just moving shard 1 to another node"):
        rig.likes.like(mine[2], timeout=2)
    rig.likes.add(dict.fromkeys(other, 1))
    with pytest.raises(ShardMoving, match="is just moving shard 1 to another node"):
        rig.flush()
    assert rig.totals() == {mine[0]: 1, mine[1]: 1, **dict.fromkeys(other, 3)}
    cluster.move_keys(slot_of_shard(shard), source, to)
    assert rig.likes.like(mine[1]) == 2  # at the other node, which is asked
    cluster.close_slot(slot_of_shard(shard), to)
    rig.flush()
    assert rig.totals() == {mine[0]: 3, mine[1]: 3, **dict.fromkeys(other, 3)}
    assert rig.incidents() == []


def test_a_like_that_waits_for_its_shard_holds_up_none_of_the_same_turn(cluster: Cluster, new_rig: NewRig) -> None:
    rig, shard = new_rig(shards=SHARDS), 1
    pending, new, *_ = items_of(shard)
    other = items_of(2)[0]
    rig.likes.add({pending: 1, other: 1})
    slot, to = slot_of_shard(shard), other_master(cluster, shard)

    async def main() -> None:
        async with AsyncLikeCounter(redis_url=cluster.url, shards=SHARDS, redis_timeout=PATIENCE) as likes:
            await likes.add({pending: 1, other: 1})
            source = cluster.open_slot(slot, to)
            waits, goes = asyncio.create_task(likes.like(new)), asyncio.create_task(likes.like(other))
            assert await goes == 3
            assert not waits.done()
            while cluster.move_keys(slot, source, to):
                pass
            cluster.close_slot(slot, to)
            assert await waits == 1

    asyncio.run(main())
    rig.flush()
    assert rig.totals() == {pending: 2, other: 3, new: 1}


def other_master(cluster: Cluster, shard: int) -> ClusterNode:
    owner = cluster.owner(slot_of_shard(shard))
    return next(node for node in cluster.masters() if node is not owner)


@pytest.mark.parametrize("target", ["another master", "a former replica"])
@pytest.mark.parametrize("seen_to", ["at once", "at the second attempt"])
def test_keys_of_two_moments_are_set_aside_before_they_are_flushed(
    cluster: Cluster, new_rig: NewRig, target: str, seen_to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A move that is broken off leaves a key at the other node; mended later, it brings back what was flushed since."""
    rig, shard = new_rig(shards=SHARDS), 1
    slot = slot_of_shard(shard)
    stale, pending, *_ = items_of(shard)
    rig.likes.like(stale, 5)
    source, key = cluster.owner(slot), rig.key(f"delta:likes:{stale}", shard)
    to = other_master(cluster, shard) if target == "another master" else cluster.former_replica(source)
    dump = source("DUMP", key)
    rig.flush()
    rig.likes.like(stale, 1)
    rig.likes.like(pending, 1)
    cluster.open_slot(slot, to)
    while cluster.move_keys(slot, source, to):
        pass
    to("ASKING")
    to("RESTORE", key, 0, dump, "REPLACE")
    cluster.close_slot(slot, to)
    if seen_to == "at the second attempt":
        with monkeypatch.context() as patch, pytest.raises(ShardMoving):
            patch.setattr("worker.arrivals.weigh", Mock(side_effect=ShardMoving("likes come in all the time")))
            rig.flush()
    rig.flush()
    assert rig.totals() == {stale: 5}
    assert rig.set_aside() == {stale: 5, pending: 1}
    assert rig.kinds() == ["set_aside"]
    assert "+4 more is pending than was accepted" in rig.incidents()[0].detail
    rig.likes.like(stale, 2)
    rig.flush()
    assert rig.totals() == {stale: 7}


def test_a_node_that_is_drained_and_then_follows_the_other_is_no_incident(cluster: Cluster, new_rig: NewRig) -> None:
    rig, drained, other = new_rig(shards=SHARDS), cluster.new_node(), cluster.new_node()
    cluster.move_slot(slot_of_shard(1), drained)
    cluster.move_slot(slot_of_shard(2), other)
    rig.likes.add(dict.fromkeys([*items_of(1), *items_of(2)], 1))
    rig.flush()
    cluster.move_slot(slot_of_shard(1), other)
    wait_until(lambda: not any(node.slots(drained) for node in cluster.nodes), PATIENCE)
    drained("CLUSTER", "REPLICATE", other.id())
    cluster.wait_until_whole()
    rig.flush()
    assert rig.incidents() == []


def test_keys_that_were_left_behind_are_told_of_before_the_others_are_flushed(
    cluster: Cluster, new_rig: NewRig
) -> None:
    rig, shard = new_rig(shards=SHARDS), 1
    slot, to = slot_of_shard(shard), other_master(cluster, shard)
    kept, left = items_of(shard, 2)
    rig.likes.add({kept: 1})
    rig.flush()
    rig.likes.add({kept: 2, left: 3})
    source = cluster.open_slot(slot, to)
    source("DEL", rig.key(f"delta:likes:{left}", shard))
    while cluster.move_keys(slot, source, to):
        pass
    cluster.close_slot(slot, to)
    rig.flush()
    assert rig.totals() == {kept: 3}
    assert [(each.kind, each.delta) for each in rig.incidents()] == [("deltas_missing", 3)]


def test_a_shard_that_moves_after_it_was_looked_at_is_handed_off_where_it_was_looked_at_again(
    cluster: Cluster, new_rig: NewRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what stands at the other node could be flushed without a look at it."""
    rig, shard = new_rig(shards=SHARDS, batch_items=2), 1
    to, items = other_master(cluster, shard), items_of(shard, 40)
    rig.likes.add(dict.fromkeys(items, 1))
    rig.flush()
    rig.likes.add(dict.fromkeys(items, 1))
    seen: list[str] = []
    apply = rig.worker.ledger.apply

    def move_once(sealed):
        if "moved" not in seen:
            cluster.move_slot(slot_of_shard(shard), to)
            seen.append("moved")
        return apply(sealed)

    def note(buffer, ledger, known, server, **options):
        seen.extend(server.where for cursor in known if cursor.shard == shard)
        note_server(buffer, ledger, known, server, **options)

    rig.worker.ledger.apply = move_once
    monkeypatch.setattr("worker.arrivals.note_server", note)
    assert rig.flush().items == len(items)
    assert seen[seen.index("moved") :] == ["moved", f"Redis at {to.address}"]
    assert rig.totals() == dict.fromkeys(items, 2)
    assert rig.incidents() == []


def test_slots_that_move_at_one_stroke(cluster: Cluster, new_rig: NewRig) -> None:
    """Valkey 9 copies a slot with all its keys and hands it over in a moment."""
    rig, seventh = new_rig(shards=SHARDS, batch_items=50), cluster.new_node()
    rig.flush()
    with Traffic(cluster) as traffic, flushing(rig):
        for shard in (1, 2):
            cluster.move_slot_at_once(slot_of_shard(shard), seventh)
            traffic.goes_on()
    assert traffic.errors == []
    rig.flush()
    assert sum(rig.totals().values()) == traffic.accepted
    assert (rig.dead_letters(), rig.incidents()) == ([], [])


def test_a_worker_says_once_that_a_shard_moves_and_flushes_the_others(
    cluster: Cluster, sqlite_engine: Engine, tmp_path: Path
) -> None:
    shard, slot = 1, slot_of_shard(1)
    mine, other = items_of(shard)[0], items_of(2)[0]
    shell = Shell(tmp_path, redis_url=cluster.url, database_url=url_of(sqlite_engine), shards=SHARDS, interval=0.2)
    with LikeCounter(redis_url=cluster.url, shards=SHARDS) as likes, RunningWorker(shell) as worker:
        likes.add({mine: 1, other: 1})
        worker.wait_for("flushed")
        wait_until(lambda: likes.pending(mine) == likes.pending(other) == 0, PATIENCE)
        likes.like(mine)
        to = other_master(cluster, shard)
        source = cluster.open_slot(slot, to)
        likes.like(mine)
        worker.wait_for("moving")
        for _ in range(3):
            likes.like(other)
            wait_until(lambda: likes.pending(other) == 0, PATIENCE)
        while cluster.move_keys(slot, source, to):
            pass
        cluster.close_slot(slot, to)
        wait_until(lambda: likes.pending(mine) == 0, PATIENCE)
        assert worker.stop() == 0
        assert len(worker.said("moving")) == 1
        levels = {each["level"] for each in worker.said_all() if each["event"] not in ("moving", "finding")}
        assert levels <= {"info", "debug"}, worker.lines
    assert shell("totals", mine, other, "--json").json[0]["total"] == 3
    assert shell("incidents", "list", "--all", "--json").json == []
