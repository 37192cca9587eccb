"""The calls of one `send` on their way to their nodes: which node each is for, and what a reply means for it. Without
I/O; `delivery` says when they go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from likes.buffer.calls import Call
from likes.buffer.links.learned import ASKING
from likes.buffer.links.rounds import Leg, Node
from likes.buffer.links.routes import Routes
from likes.buffer.refusals import Elsewhere, NotNow, NotSent, Unanswered
from likes.errors import LikesError, RedisUnavailable


class Parcels:
    """The calls of a delivery, and what became of each.

    left: those that are to be sent (again), by their number. sent_on: one of them goes where a node has sent it.
    """

    def __init__(self, calls: Sequence[Call[Any]], routes: Routes, patient: bool, where: str) -> None:
        self.replies: list[Any] = [None] * len(calls)
        self.left: list[int] = [*range(len(calls))]
        self.sent_on = False
        self._calls = calls
        self._routes = routes
        self._patient = patient
        self._where = where
        self._why_unknown: LikesError | None = None
        self._sent_to: dict[int, tuple[Node, bool]] = {}  # and whether ASKING comes first

    @property
    def are_some_done(self) -> bool:
        """True if something is no longer to be sent."""
        return len(self.left) < len(self.replies)

    def fail(self, error: LikesError) -> None:
        """Nobody tells who has what. Where waiting may cure it, those whose owner is known are tried all the same."""
        self._why_unknown = error
        if not isinstance(error, RedisUnavailable):
            for i in self.left:
                self.replies[i] = error
            self.left = []

    def legs(self) -> list[tuple[Leg, list[int | None]]]:
        """Those left, for the nodes that have them; each with its number, None for an ASKING.

        In the order of the nodes' addresses: who takes a connection to each in turn must take them in one order.
        """
        legs: dict[Node, tuple[list[Call[Any]], list[int | None]]] = {}
        homeless = []
        for i in self.left:
            call = self._calls[i]
            node, asks = self._sent_to.pop(i) if i in self._sent_to else (self._routes.owner(call.placed_by), False)
            if node is None:
                self.replies[i] = self._why_unknown or NotSent(f"{self._where}: {_slot(call)} is on no node now")
                self._routes.doubt(None)
                homeless.append(i)
            elif call.node not in (None, node.where):
                self.replies[i] = _has_moved(call, node)
            else:
                calls, numbers = legs.setdefault(node, ([], []))
                calls += [ASKING, call] if asks else [call]
                numbers += [None, i] if asks else [i]
        self.left = homeless
        return [(Leg(node, calls), numbers) for node, (calls, numbers) in sorted(legs.items())]

    def hear(self, answers: Sequence[Sequence[Any]], legs: Sequence[tuple[Leg, list[int | None]]]) -> None:
        """Take the replies to `legs`."""
        self.sent_on = False
        again: list[int] = []
        for replies, (leg, numbers) in zip(answers, legs, strict=True):
            heard = [(i, _heard(at, numbers, replies)) for at, i in enumerate(numbers) if i is not None]
            undone = [i for i, reply in heard if self._goes_again(i, leg.node, reply)]
            if not any(call.vouches for call in leg.calls):  # it has vouched for none of what would be sent behind it
                again += undone
        self.left = sorted(self.left + again)

    def _goes_again(self, i: int, node: Node, reply: Any) -> bool:
        """Take the reply of a node to a call; True if it was not done and is to be sent again."""
        self.replies[i] = reply
        if isinstance(reply, Elsewhere):
            return self._send_on(i, node, reply)
        if isinstance(reply, NotNow):
            self.replies[i] = NotNow(f"{node.where} is just moving {_slot(self._calls[i])} to another node")
            return self._patient
        if isinstance(reply, NotSent | Unanswered):
            self._routes.doubt(node)
        else:
            self._routes.answered(node)
        return isinstance(reply, NotSent)

    def _send_on(self, i: int, node: Node, reply: Elsewhere) -> bool:
        to = Node(reply.host or node.host, reply.port, node.tls)
        if not reply.asks:
            self._routes.moved(to)
        if self._calls[i].node is not None:
            self.replies[i] = _has_moved(self._calls[i], to)
            return False
        self.replies[i] = NotSent(f"{self._where} sends {_slot(self._calls[i])} from node to node; it is moving")
        self._sent_to[i] = to, reply.asks
        self.sent_on = True
        return True


def _heard(at: int, numbers: Sequence[int | None], replies: Sequence[Any]) -> Any:
    """A reply; where it sends elsewhere since ASKING was refused before it, why that was."""
    asking = replies[at - 1] if at and numbers[at - 1] is None else None
    is_sent_back = isinstance(replies[at], Elsewhere) and isinstance(asking, LikesError)
    return asking if is_sent_back else replies[at]


def _has_moved(call: Call[Any], to: Node) -> NotNow:
    return NotNow(f"{call.node} no longer has all of {_slot(call)}, which moves to {to.where}")


def _slot(call: Call[Any]) -> str:
    return f"shard {call.shard}" if call.shard is not None else "the key"
