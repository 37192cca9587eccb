"""A Redis Cluster whose masters die and whose slots move."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.chaos.faults.fault import WENT_BACK, fault
from tests.chaos.population import Population
from tests.chaos.stand import SHARDS
from tests.clusters import Cluster, ClusterNode, slot_of_shard

CLUSTER = frozenset({"cluster"})


@fault(incidents=WENT_BACK, goes_back=True, stands=CLUSTER)
def a_master_dies(population: Population, random: Random) -> Iterator[None]:
    """Its replica takes its place; what that had not copied is lost."""
    cluster = population.stand.cluster
    with cluster.failing_over_quickly():
        dead = cluster.owner(slot_of_shard(random.randrange(SHARDS))).server
        dead.kill()
        population.sees(lambda: _is_whole_without(cluster, dead.port), "no replica takes over")
        population.a_while()
    yield
    dead.start()


@fault(stands=CLUSTER)
def slots_move_key_by_key(population: Population, random: Random) -> Iterator[None]:
    """To another master, and back."""
    cluster, slot = population.stand.cluster, slot_of_shard(random.randrange(SHARDS))
    source, to = cluster.owner(slot), _another_master(cluster, slot, random)
    cluster.move_slot(slot, to)
    population.a_while()
    yield
    cluster.move_slot(slot, source)


@fault(stands=CLUSTER)
def a_slot_stays_half_way(population: Population, random: Random) -> Iterator[None]:
    """Some of its keys are here, some there; its likes wait, and go on once it has moved."""
    cluster, slot = population.stand.cluster, slot_of_shard(random.randrange(SHARDS))
    to = _another_master(cluster, slot, random)
    source = cluster.open_slot(slot, to)
    cluster.move_keys(slot, source, to, most=5)
    population.notices("threads")
    yield
    while cluster.move_keys(slot, source, to):
        pass
    cluster.close_slot(slot, to)


@fault(stands=CLUSTER)
def slots_move_at_one_stroke(population: Population, random: Random) -> Iterator[None]:
    """As Valkey 9 moves them."""
    cluster, slot = population.stand.cluster, slot_of_shard(random.randrange(SHARDS))
    source, to = cluster.owner(slot), _another_master(cluster, slot, random)
    cluster.move_slot_at_once(slot, to)
    population.a_while()
    yield
    cluster.move_slot_at_once(slot, source)


def _another_master(cluster: Cluster, slot: int, random: Random) -> ClusterNode:
    owner = cluster.owner(slot)
    return random.choice([node for node in cluster.masters() if node is not owner])


def _is_whole_without(cluster: Cluster, port: int) -> bool:
    """True once all slots are served by others."""
    nodes = [node for node in cluster.nodes if node.server.is_running]
    return all("cluster_state:ok" in node.state() for node in nodes) and not any(
        master[1] == port for node in nodes for _, _, master, *_ in node("CLUSTER", "SLOTS")
    )
