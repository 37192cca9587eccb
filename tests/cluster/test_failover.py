"""Nodes that die, and a cluster that sees too little of itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import update

from likes.sql.engine import writing
from likes.sql.tables import cursors
from tests.cluster.traffic import SHARDS, Traffic, flushing
from tests.clusters import Cluster, slot_of_shard
from tests.rig import SLACK, Rig
from tests.stepping import SteppedWorker

NewRig = Callable[..., Rig]


def test_a_master_dies_and_likes_wait_for_its_replica(cluster: Cluster, new_rig: NewRig) -> None:
    rig = new_rig(shards=SHARDS, batch_items=50)
    rig.flush()
    with cluster.failing_over_quickly(), Traffic(cluster) as traffic, flushing(rig):
        cluster.owner(slot_of_shard(1)).server.kill()
        traffic.goes_on()
    assert traffic.errors == []
    rig.flush()
    lost = traffic.accepted - sum(rig.totals().values())
    assert 0 <= lost <= 16  # what the master had acknowledged and not sent to its replica yet, if anything
    assert rig.kinds()[0] == "redis_failed_over"
    assert lost or rig.kinds() == ["redis_failed_over"]
    assert rig.dead_letters() == []


def test_a_node_that_is_restarted_is_one_incident_for_all_its_shards(cluster: Cluster, new_rig: NewRig) -> None:
    """Also where the worker that noticed it died before it was over."""
    rig = new_rig(shards=16)
    items = [f"video:{n}" for n in range(60)]  # in every shard
    rig.likes.add(dict.fromkeys(items, 1))
    rig.flush()
    covered = rig.covered_to()
    rig.likes.add(dict.fromkeys(items, 1))
    node = cluster.masters()[0].server
    node.kill()
    node.start()
    cluster.wait_until_whole()
    with SteppedWorker(rig) as dying:
        dying.go_until("hand_off").step()
    rig.flush()
    rig.flush()
    assert rig.totals() == dict.fromkeys(items, 2)
    (incident,) = rig.incidents()
    assert (incident.kind, incident.shard) == ("redis_restarted", None)
    assert covered - SLACK <= incident.exposed_from <= covered + SLACK


def test_its_window_holds_those_of_shards_that_another_worker_flushes(cluster: Cluster, new_rig: NewRig) -> None:
    rig = new_rig(shards=16)
    rig.flush()
    node = cluster.masters()[0]
    one, other = [shard for shard in range(16) if cluster.owner(slot_of_shard(shard)) is node][:2]
    long_ago = rig.covered_to() - timedelta(hours=1)
    with writing(rig.engine) as connection:
        connection.execute(update(cursors).where(cursors.c.shard == other).values(covered_to=long_ago))
    node.server.kill()
    node.server.start()
    cluster.wait_until_whole()
    rig.worker.flush([one])
    rig.worker.flush([other])
    (incident,) = rig.incidents()
    assert (incident.kind, incident.exposed_from) == ("redis_restarted", long_ago)
