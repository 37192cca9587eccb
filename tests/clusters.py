"""A Redis Cluster for tests: masters with replicas on this machine, whose slots move, whose nodes die and come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, Self

import redis
from redis.crc import key_slot

from tests.servers import RedisServer, free_port
from tests.waiting import wait_until

SLOTS = 16384
PATIENCE = 60
NODE_TIMEOUT = 5000  # milliseconds; less, and a busy machine looks like one that fails


class ClusterNode:
    """A node and a client that talks to it alone."""

    def __init__(self, make: Callable[..., RedisServer], *options: str) -> None:
        self.server = make(
            *("--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT)),
            *("--repl-diskless-sync-delay", "0", "--cluster-allow-replica-migration", "no"),
            *options,
        )
        while self.server.port >= 20_000 or not _is_free(self.server.port + 10_000):  # where the nodes talk
            self.server.port = free_port()
        options = {**self.server.client_options, "protocol": 2, "socket_timeout": 5}
        self.client: Any = redis.Redis(**options)
        self._raw: Any = redis.Redis(**options)
        self._raw.response_callbacks.clear()  # replies as they come

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def __call__(self, *words: Any) -> Any:
        return self._raw.execute_command(*words)

    def close(self) -> None:
        self.client.close()
        self._raw.close()

    def id(self) -> str:
        return str(self("CLUSTER", "MYID").decode())

    def is_master(self) -> bool:
        return self.client.info("replication")["role"] == "master"

    def slots(self, of: ClusterNode | None = None) -> list[tuple[int, int]]:
        """The ranges of slots that this node says that one has, or itself."""
        port = (of or self).server.port
        return [(first, last) for first, last, master, *_ in self("CLUSTER", "SLOTS") if master[1] == port]

    def state(self) -> str:
        return str(self("CLUSTER", "INFO").decode())

    def knows(self, other: ClusterNode, role: str = "") -> bool:
        """role: as `master` or `slave`; "" for any."""
        lines = self("CLUSTER", "NODES").decode().splitlines()
        return any(line.startswith(other.id()) and role in line.split()[2] for line in lines)


class Cluster:
    """Nodes in the order they were made: masters first, then a replica of each."""

    def __init__(self, make: Callable[..., RedisServer], masters: int = 3, *, replicas: bool = True) -> None:
        self._make = make
        self.nodes = [ClusterNode(make) for _ in range(masters * (2 if replicas else 1))]
        self.masters_at_first = self.nodes[:masters]
        self._at_first = len(self.nodes)
        self._open_slots: set[int] = set()

    def start(self) -> Self:
        for node in self.nodes:
            node.server.start()
        for epoch, node in enumerate(self.nodes, start=1):
            node("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        masters = self.masters_at_first
        for i, node in enumerate(masters):
            first, last = SLOTS * i // len(masters), SLOTS * (i + 1) // len(masters) - 1
            node("CLUSTER", "ADDSLOTS", *range(first, last + 1))
        for node in self.nodes[1:]:
            self.meet(node)
        for master, replica in zip(masters, self.nodes[len(masters) :], strict=False):
            wait_until(partial(replica.knows, master), PATIENCE)
            replica("CLUSTER", "REPLICATE", master.id())
        self.wait_until_whole()
        return self

    @property
    def url(self) -> str:
        """All of its first masters."""
        return f"redis+cluster://{','.join(node.address for node in self.masters_at_first)}"

    def meet(self, node: ClusterNode) -> None:
        """Let a node that was started join."""
        port = node.server.port
        self.nodes[0]("CLUSTER", "MEET", "127.0.0.1", port, port + 10_000)

    def new_node(self) -> ClusterNode:
        """Another master without slots, which every node knows."""
        node = ClusterNode(self._make)
        node.server.start()
        self.meet(node)
        self.nodes.append(node)
        wait_until(lambda: all(each.knows(node) for each in self.nodes), PATIENCE)
        wait_until(lambda: "cluster_state:ok" in node.state(), PATIENCE)
        return node

    def former_replica(self, of: ClusterNode) -> ClusterNode:
        """Another master without slots, which was a replica of that one, and so keeps its replication id."""
        node = self.new_node()
        node("CLUSTER", "REPLICATE", of.id())
        self.wait_until_whole()
        node("CLUSTER", "RESET", "SOFT")
        self.meet(node)
        wait_until(lambda: all(each.knows(node, "master") for each in self.nodes), PATIENCE)
        wait_until(lambda: "cluster_state:ok" in node.state(), PATIENCE)
        return node

    def masters(self) -> list[ClusterNode]:
        """Those that have slots now."""
        return [node for node in self.nodes if node.is_master() and node.slots()]

    def owner(self, slot: int) -> ClusterNode:
        """The master that has a slot."""
        return next(
            node
            for node in self.nodes
            if node.is_master() and any(first <= slot <= last for first, last in node.slots())
        )

    def wait_until_whole(self) -> None:
        """Until all nodes see all slots served, and replicas have caught up."""
        wait_until(lambda: all(map(_is_whole, self.nodes)), PATIENCE)

    def remove(self) -> None:
        for node in self.nodes:
            node.close()
            node.server.remove()

    @contextmanager
    def failing_over_quickly(self) -> Iterator[None]:
        """A node that does not answer for a second has failed."""
        self._set_node_timeout(1000)
        try:
            yield
        finally:
            self._set_node_timeout(NODE_TIMEOUT)

    def _set_node_timeout(self, milliseconds: int) -> None:
        for node in self.nodes:
            if node.server.is_running:
                node("CONFIG", "SET", "cluster-node-timeout", milliseconds)

    def mend(self) -> None:
        """Put right what a test did: start who was killed, close open slots, take out new nodes."""
        for node in self.nodes:
            if not node.server.is_running:
                node.server.start()
        wait_until(lambda: all("cluster_state:ok" in node.state() for node in self.nodes), PATIENCE)
        for node in self.masters():
            node.client.flushall()
        for slot in self._open_slots:
            for node in self.nodes:
                if node.is_master():
                    node("CLUSTER", "SETSLOT", slot, "STABLE")
        self._open_slots.clear()
        for extra in self.nodes[self._at_first :]:
            self._take_out(extra)
        self.wait_until_whole()

    def _take_out(self, extra: ClusterNode) -> None:
        heir = next(node for node in self.nodes[: self._at_first] if node.is_master())
        for first, last in extra.slots():
            for slot in range(first, last + 1):
                self.move_slot(slot, heir)  # in order: else its replicas would go on believing the other one
        self.nodes.remove(extra)
        wait_until(lambda: not any(node.slots(extra) for node in self.nodes), PATIENCE)
        gone = extra.id()
        extra.close()
        extra.server.remove()
        for node in self.nodes:
            node("CLUSTER", "FORGET", gone)

    # Moving slots, key by key.

    def open_slot(self, slot: int, to: ClusterNode) -> ClusterNode:
        """A slot begins to move; returns the node that has it still."""
        source = self.owner(slot)
        self._open_slots.add(slot)
        to("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id())
        source("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id())
        return source

    def move_keys(self, slot: int, source: ClusterNode, to: ClusterNode, most: int = 1000) -> int:
        """Move that many of the keys that are still at the source, one by one; returns how many were."""
        keys = source("CLUSTER", "GETKEYSINSLOT", slot, most)
        for key in keys:
            self.move_key(key, source, to)
        return len(keys)

    def move_key(self, key: bytes | str, source: ClusterNode, to: ClusterNode) -> None:
        """Move one."""
        source("MIGRATE", "127.0.0.1", to.server.port, key, 0, 5000)

    def close_slot(self, slot: int, to: ClusterNode) -> None:
        """A slot has moved."""
        for node in [to, *(node for node in self.nodes if node is not to and node.is_master())]:
            node("CLUSTER", "SETSLOT", slot, "NODE", to.id())
        self._open_slots.discard(slot)

    def move_slot(self, slot: int, to: ClusterNode) -> None:
        """All of it."""
        source = self.open_slot(slot, to)
        while self.move_keys(slot, source, to):
            pass
        self.close_slot(slot, to)

    def move_slot_at_once(self, slot: int, to: ClusterNode) -> None:
        """All of it, as Valkey 9 does it."""
        source = self.owner(slot)
        wait_until(lambda: source.knows(to), PATIENCE)
        source("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", to.id())
        wait_until(lambda: any(first <= slot <= last for first, last in to.slots()), PATIENCE)

    def all_keys(self) -> Iterator[bytes]:
        """All keys of all masters."""
        for node in self.masters():
            yield from node.client.scan_iter(count=1000)

    def flush(self) -> None:
        """Forget all keys."""
        for node in self.masters():
            node.client.flushall()


def slot_of_shard(shard: int, prefix: str = "likes") -> int:
    """The slot of a shard."""
    return key_slot(f"{{{prefix}:{shard}}}".encode())


def _is_free(port: int) -> bool:
    import socket

    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _is_whole(node: ClusterNode) -> bool:
    state = node.state()
    if "cluster_state:ok" not in state or f"cluster_slots_ok:{SLOTS}" not in state:
        return False
    told = node.client.info("replication")
    return told["role"] == "master" or told["master_link_status"] == "up"
