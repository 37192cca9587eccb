"""A node that is restarted is one incident, whose window holds those of all its shards, whoever flushes them when."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from sqlalchemy import update

from likes.sql.engine import writing
from likes.sql.tables import cursors
from tests.clusters import Cluster, ClusterNode, slot_of_shard
from tests.rig import Rig
from tests.seams import TappedLink
from tests.stepping import Killed, SteppedWorker
from worker.arrivals import note_server
from worker.resharding import Reshard

SHARDS = 8
ITEMS = [f"video:{n}" for n in range(40)]  # in every shard


class Restarted(NamedTuple):
    """A node that was restarted since its `shards` were flushed. The last of them was covered `long_ago`."""

    rig: Rig
    node: ClusterNode
    shards: list[int]
    long_ago: datetime


@pytest.fixture
def restarted(cluster: Cluster, new_rig: Callable[..., Rig]) -> Restarted:
    rig = new_rig(shards=SHARDS)
    rig.likes.add(dict.fromkeys(ITEMS, 1))
    rig.flush()
    owners = {shard: cluster.owner(slot_of_shard(shard)) for shard in range(SHARDS)}
    node = max(owners.values(), key=[*owners.values()].count)
    restarted = Restarted(rig, node, [s for s in owners if owners[s] is node], rig.covered_to() - timedelta(hours=1))
    cover(rig, restarted.shards[-1], restarted.long_ago)
    rig.likes.add(dict.fromkeys(ITEMS, 1))
    node.server.kill()
    node.server.start()
    cluster.wait_until_whole()
    return restarted


def cover(rig: Rig, shard: int, moment: datetime) -> None:
    """As if a flush of just then had been the last one."""
    with writing(rig.engine) as connection:
        connection.execute(update(cursors).where(cursors.c.shard == shard).values(covered_to=moment))


def require_told_once(restarted: Restarted) -> None:
    (incident,) = restarted.rig.incidents()
    assert (incident.kind, incident.shard, incident.exposed_from) == ("redis_restarted", None, restarted.long_ago)
    assert restarted.rig.totals() == dict.fromkeys(ITEMS, 2)


def test_it_is_told_once(restarted: Restarted) -> None:
    restarted.rig.flush()
    restarted.rig.flush()
    require_told_once(restarted)


def test_so_it_is_where_the_worker_that_noticed_it_dies_and_the_shards_move(
    restarted: Restarted, cluster: Cluster
) -> None:
    with SteppedWorker(restarted.rig) as dying:
        dying.go_until("hand_off").step()
    other = next(node for node in cluster.masters() if node is not restarted.node)
    for shard in restarted.shards:
        cluster.move_slot(slot_of_shard(shard), other)
    restarted.rig.flush()
    require_told_once(restarted)


def test_so_is_what_a_shard_may_have_lost_that_has_just_come_there(restarted: Restarted, cluster: Cluster) -> None:
    rig, node, shards, long_ago = restarted
    come = next(shard for shard in range(SHARDS) if shard not in shards)
    cover(rig, come, long_ago - timedelta(hours=1))
    cluster.move_slot(slot_of_shard(come), node)
    rig.flush()
    require_told_once(restarted._replace(long_ago=long_ago - timedelta(hours=1)))


def test_so_it_is_where_one_worker_comes_after_the_other(restarted: Restarted) -> None:
    for shard in restarted.shards:
        restarted.rig.worker.flush([shard])
    restarted.rig.flush()
    require_told_once(restarted)


def test_so_it_is_where_two_workers_notice_it_at_once(restarted: Restarted, monkeypatch: pytest.MonkeyPatch) -> None:
    with restarted.rig.new_worker() as one, restarted.rig.new_worker() as other:

        def after_the_other(*known: Any, **options: Any) -> None:
            monkeypatch.undo()
            other.flush(restarted.shards[1:])
            note_server(*known, **options)

        monkeypatch.setattr("worker.arrivals.note_server", after_the_other)
        one.flush(restarted.shards[:1])
    restarted.rig.flush()
    require_told_once(restarted)


def test_so_it_is_where_likes_reshard_notices_it_and_is_killed(restarted: Restarted) -> None:
    def die_after_a_hand_off(call: str, make: Callable[[], Any]) -> Any:
        reply = make()
        if "hand_off" in call:
            raise Killed
        return reply

    rig = restarted.rig
    with (
        suppress(Killed),
        rig.new_worker(lambda link: TappedLink(link, die_after_a_hand_off), any_number=True) as worker,
    ):
        Reshard(worker, 2 * SHARDS, SHARDS).run()
    rig.reshard(2 * SHARDS)
    require_told_once(restarted)
