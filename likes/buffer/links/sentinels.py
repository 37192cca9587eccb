"""Which server is the master, by what Sentinels say, as far as one link knows. Without I/O.

All of them are asked side by side, and a server is the master if **more than half of those configured** name its
address: no failover is decided by fewer, so one that is cut off, or watches something else under the same name, names
an old or a strange master alone. (redis-py believes the first one that answers.) Those that were silent lately are
asked only where the others are too few, as each may take its whole time.

What they said holds for a second: a master that was replaced in good order goes on taking likes, which are lost, until
it is demoted some ten seconds later, and only then are its clients cut off. They are also asked again as soon as the
master does not answer, or answers that it is none (READONLY: certainly not done). As long as too few of them name
another one, the connections to the master that are open are used, whether Sentinels answer or not.

A connection is opened only to a server that they named, or that answered over one opened so, in the last second, and
the server itself has to say on it, before anything else, that it is a master (`connections.connect_to_master`): a dead
one that comes back takes itself for the master until it is told otherwise.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from likes.buffer.calls import command
from likes.buffer.encryption import named
from likes.buffer.links.rounds import Leg, Node, Round, Search
from likes.buffer.refusals import NotSent, is_no_sentinel
from likes.deadline import Deadline
from likes.errors import LikesError, RedisRefused, RedisUnavailable

ASKING_SECONDS = 1.0  # how long Sentinels may take to answer; half of what is left, where that is less
WORD_SECONDS = 1.0  # how long it holds; none declares a master dead, elects and promotes in less
PATIENCE = 10  # where too few answer, they are let alone for so many times as long as that took
_NEVER: Final = float("-inf")


class SentinelNode(Node):
    """The address of a Sentinel."""

    __slots__ = ()

    @property
    def where(self) -> str:
        """What messages call it."""
        return named(self.address, tls=self.tls, what="the Sentinel")


class Sentinels:
    """The `Routes` to a master: all keys are there.

    nodes: all Sentinels there are. service: what they call the master. where: what messages call it.
    """

    def __init__(self, nodes: Sequence[SentinelNode], service: str, where: str) -> None:
        self._nodes = sorted(nodes)  # who takes a connection to each in turn must take them in one order
        self._service = service
        self._where = where
        self._question = command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)
        self._tls = any(node.tls for node in nodes)
        self._needed = len(nodes) // 2 + 1
        self._silent: set[Node] = set()
        self._master: Node | None = None
        self._is_doubted = False
        self._ask_at = self._sure_at = _NEVER
        self._why_unsure = ""

    @property
    def is_stale(self) -> bool:
        """True if they should be asked before the next call."""
        return self._master is None or self._is_doubted or time.monotonic() >= self._ask_at

    def find(self, seconds: float) -> Search:
        """Ask who is the master. Returns why nobody is to be known, unless nothing speaks against the one before."""
        began, until, said = time.monotonic(), Deadline(seconds), dict[Node, object]()
        self._ask_at = began + ASKING_SECONDS  # meanwhile others go on
        self._is_doubted, was_doubted = False, self._is_doubted
        for nodes in self._turns():
            legs = [Leg(node, [self._question]) for node in nodes]
            answers = yield Round(legs, Deadline(min(ASKING_SECONDS, until.left() / 2)))
            said.update((node, reply) for node, (reply,) in zip(nodes, answers, strict=True))
            self._silent -= said.keys()
            self._silent |= {node for node, reply in said.items() if isinstance(reply, RedisUnavailable)}
            if self._learn(said):
                return None
        now = time.monotonic()
        self._ask_at = now + max(WORD_SECONDS, PATIENCE * (now - began))
        error = self._why_nobody(said)
        return error if self._master is None or was_doubted else None

    def vet(self, node: Node) -> None:
        """Raise ConnectionError if no connection is to be opened to that server before the Sentinels are asked."""
        if node != self._master or time.monotonic() - self._sure_at >= WORD_SECONDS:
            raise ConnectionError(f"{self._needed} of {len(self._nodes)} have to name it first{self._why_unsure}")

    def owner(self, key: bytes | None) -> Node | None:
        """The master, None if none is known."""
        return self._master

    def knows(self, node: Node) -> bool:
        """True for a Sentinel, and for the master."""
        return node in self._nodes or node == self._master

    def answered(self, node: Node) -> None:
        """It is there still."""
        if node == self._master:
            self._sure_at = time.monotonic()

    def doubt(self, node: Node | None) -> None:
        """It did not answer, or is no master any more."""
        if node == self._master:
            self._sure_at = _NEVER
            self._is_doubted = True

    def moved(self, to: Node) -> None:
        """A master that Sentinels watch sends nobody elsewhere."""
        self._is_doubted = True

    def _turns(self) -> Iterator[list[SentinelNode]]:
        silent = {*self._silent}
        for nodes in ([n for n in self._nodes if n not in silent], [n for n in self._nodes if n in silent]):
            if nodes:
                yield nodes

    def _learn(self, said: Mapping[Node, object]) -> bool:
        """Take what they said; False if too few of them name one."""
        votes = Counter(master for reply in said.values() if (master := named_by(reply, tls=self._tls)))
        for master, count in votes.most_common(1):
            if count >= self._needed:
                self._master, self._sure_at, self._why_unsure = master, time.monotonic(), ""
                self._ask_at = self._sure_at + WORD_SECONDS
                return True
        return False

    def _why_nobody(self, said: Mapping[Node, object]) -> LikesError:
        refused = [self._refusal(node, reply) for node, reply in said.items() if self._is_final(reply)]
        if len(self._nodes) - len(refused) < self._needed:
            return refused[0]
        told = "; ".join(self._told(node, said[node]) for node in sorted(said))
        self._why_unsure = f": {told}"
        return NotSent(f"{self._where}: no {self._needed} of {len(self._nodes)} name one master: {told}")

    def _is_final(self, reply: object) -> bool:
        """True for an answer that waiting does not change. What they watched once they will again."""
        if isinstance(reply, LikesError):
            return not isinstance(reply, RedisUnavailable)
        return named_by(reply, tls=self._tls) is None and self._master is None

    def _refusal(self, node: Node, reply: object) -> LikesError:
        if isinstance(reply, LikesError):
            return is_no_sentinel(reply, node.where)
        return RedisRefused(f"{self._told(node, reply)}; see SENTINEL MASTERS there")

    def _told(self, node: Node, reply: object) -> str:
        if isinstance(reply, LikesError):
            return str(reply)
        master = named_by(reply, tls=self._tls)
        return f"{node.where} {f'names {master.address}' if master else f'watches no {self._service}'}"


def named_by(reply: Any, *, tls: bool) -> Node | None:
    """The master that a Sentinel names; None if it names none."""
    try:
        return Node(reply[0].decode(), int(reply[1]), tls)
    except (TypeError, ValueError, AttributeError, IndexError):
        return None
