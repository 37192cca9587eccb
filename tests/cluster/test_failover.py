"""Nodes that die, and a cluster that sees too little of itself."""

from __future__ import annotations

from collections.abc import Callable

from tests.cluster.traffic import SHARDS, Traffic, flushing
from tests.clusters import Cluster, slot_of_shard
from tests.rig import Rig

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
