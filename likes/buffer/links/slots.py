"""Which node of a Redis Cluster has which slot, as far as one link knows. Without I/O.

Any node tells (CLUSTER SLOTS), and any may be behind: who has a slot is certain only once that node has answered. So
this is where to try first; a node that no longer has a slot says where it went.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from likes.buffer.calls import command
from likes.buffer.links.rounds import Leg, Node, Round, Search
from likes.buffer.refusals import NotSent, is_no_cluster
from likes.deadline import Deadline
from likes.errors import LikesError, RedisUnavailable

SLOTS = command("CLUSTER", "SLOTS")
ASKING_SECONDS = 1.0  # how long one node may take to tell the slots, as there are others


class Slots:
    """The `Routes` of a cluster.

    seeds: the nodes that are known before any has told more. where: what messages call the cluster.
    """

    def __init__(self, seeds: Sequence[Node], where: str) -> None:
        self.seeds = seeds
        self.is_stale = True
        self._where = where
        self._owners: Sequence[Node | None] = ()
        self._nodes: Sequence[Node] = ()
        self._ahead: Node | None = None  # said to have a slot that others were thought to have
        self._doubted: Node | None = None

    def find(self, seconds: float) -> Search:
        """Ask one node after the other who has which slot. Returns why none tells, if that is so."""
        error: LikesError = NotSent(f"{self._where} has no node with any slot; see redis-cli --cluster check")
        until = Deadline(seconds)
        for node in self.to_ask():
            ((reply,),) = yield Round([Leg(node, [SLOTS])], Deadline(min(ASKING_SECONDS, until.left())))
            if not isinstance(reply, LikesError):
                if self.learn(node, reply):
                    return None
                continue
            reply = is_no_cluster(reply, node.where)
            if not isinstance(error, RedisUnavailable):
                continue  # what waiting does not cure is told first
            error = NotSent(f"{self._where}: {reply}") if isinstance(reply, RedisUnavailable) else reply
        return error

    def owner(self, key: bytes | None) -> Node | None:
        """Who has the slot of a key, None if nobody is known to; some node for no key."""
        if not self._owners:
            return None
        return self._nodes[0] if key is None else self._owners[key_slot(key)]

    def knows(self, node: Node) -> bool:
        """True for a seed, and for a node that has slots or a replica of one."""
        return node in self.seeds or node in self._nodes

    def to_ask(self) -> list[Node]:
        """Who may tell the slots, in the order in which to ask."""
        first = [self._ahead] if self._ahead else []
        known = dict.fromkeys([*first, *self._nodes, *self.seeds])
        return sorted(known, key=lambda node: node == self._doubted)

    def learn(self, asked: Node, reply: object) -> bool:
        """Take what a node answered to SLOTS; False if that names none."""
        owners: list[Node | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        masters: dict[Node, None] = {}
        replicas: dict[Node, None] = {}
        for first, last, master, *others in _ranges(asked, reply):
            owners[first : last + 1] = [master] * (last + 1 - first)
            masters[master] = None
            replicas.update(dict.fromkeys(others))
        if not masters:
            return False
        self._nodes = [*masters, *replicas]
        self._owners = owners
        self._ahead = self._doubted = None
        self.is_stale = False
        return True

    def answered(self, node: Node) -> None:
        """Nothing to be learned from: it had what it was asked about."""

    def moved(self, to: Node) -> None:
        """A slot has moved there, so that what is known is old; that node knows better."""
        self._ahead = to
        self.is_stale = True

    def doubt(self, node: Node | None) -> None:
        """A node did not answer, or takes no calls: another one may have taken its place. None: no node has a slot."""
        self._doubted = node
        self.is_stale = True


def _ranges(asked: Node, reply: Any) -> Iterator[tuple[Any, ...]]:
    """First slot, last slot, the node that has them, its replicas. Whatever is no such range is left out."""
    for each in reply if isinstance(reply, list) else ():
        try:
            first, last, *nodes = each
            master, *replicas = (_node(asked, node) for node in nodes)
            if 0 <= first <= last < REDIS_CLUSTER_HASH_SLOTS and master:
                yield first, last, master, *filter(None, replicas)
        except (TypeError, ValueError, AttributeError, IndexError):
            continue


def _node(asked: Node, node: list[Any]) -> Node | None:
    """None for one whose name the cluster does not know ("?"). One without a name has that by which it was asked."""
    host, port = (node[0] or b"").decode(), int(node[1])
    return None if host == "?" else Node(host or asked.host, port, asked.tls)
