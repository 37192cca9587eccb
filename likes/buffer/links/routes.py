"""Which node of a Redis Cluster has which slot, as far as one link knows. Without I/O.

Any node tells (CLUSTER SLOTS), and any may be behind: who has a slot is certain only once that node has answered. So
this is where to try first; a node that no longer has a slot says where it went.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from likes.buffer.calls import command
from likes.buffer.encryption import named


class Node(NamedTuple):
    """The address of a node. tls: it is spoken to over TLS."""

    host: str
    port: int
    tls: bool = False

    @property
    def where(self) -> str:
        """What messages call it."""
        return named(f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}", tls=self.tls)


SLOTS = command("CLUSTER", "SLOTS")


class Routes:
    """For any number of threads: what is told replaces what was known, as a whole.

    seeds: the nodes that are known before any has told more. is_stale: somebody should be asked before the next call.
    """

    def __init__(self, seeds: Sequence[Node]) -> None:
        self.seeds = seeds
        self.is_stale = True
        self._owners: Sequence[Node | None] = ()
        self._nodes: Sequence[Node] = ()
        self._ahead: Node | None = None  # said to have a slot that others were thought to have
        self._doubted: Node | None = None

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

    def moved(self, to: Node) -> None:
        """A slot has moved there, so that what is known is old; that node knows better."""
        self._ahead = to
        self.is_stale = True

    def doubt(self, node: Node) -> None:
        """A node did not answer, or takes no calls: another one may have taken its place."""
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
