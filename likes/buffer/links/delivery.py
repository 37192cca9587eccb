"""How the calls of one `send` find their nodes in a Redis Cluster, without I/O.

Which calls go where, what is sent again, where to, and when it is given up stands here, once; whoever drives a delivery
(`cluster` for threads, `loop_cluster` for asyncio) only carries out rounds, waits, and returns what comes of it. What
goes on over one connection is still an `Exchange`.

A cluster answers some calls without doing them: their slot is elsewhere (MOVED, ASK), its keys are on two nodes
(TRYAGAIN), its node is no master any more, or sees too little of the cluster (READONLY, CLUSTERDOWN). Just those are
sent again, as they were, and those of a shard in their order. A call that was sent and not answered never is: what that
means is for the caller to decide.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Mapping, Sequence
from typing import Any, NamedTuple

from likes.buffer.calls import Call
from likes.buffer.links.learned import ASKING
from likes.buffer.links.routes import SLOTS, Node, Routes
from likes.buffer.refusals import Elsewhere, NotNow, NotSent, Unanswered, is_no_cluster
from likes.deadline import Deadline
from likes.errors import LikesError, RedisUnavailable

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.005, 0.2
# A tenth of the time is kept back, within these: a try that is cut short leaves unknown what was certainly not done.
LEAST_SECONDS, MOST_SECONDS = 0.05, 0.5
REDIRECTIONS = 5  # so often a call is sent on at once; a slot that is sent round and round has to settle first
ASKING_SECONDS = 1.0  # how long one node may take to tell the slots, as there are others


class Leg(NamedTuple):
    """Calls for one node, in their order."""

    node: Node
    calls: Sequence[Call[Any]]


class Round(NamedTuple):
    """Wants legs carried out side by side; is sent the replies of each, which are as those of a link."""

    legs: Sequence[Leg]
    deadline: Deadline


class Wait(NamedTuple):
    """Wants to wait; is sent None."""

    seconds: float


Delivery = Generator[Round | Wait, Any, list[Any]]


def deliver(calls: Sequence[Call[Any]], routes: Routes, deadline: Deadline, *, patient: bool, where: str) -> Delivery:
    """A reply for each call, or the LikesError that stands in its place.

    patient: a shard that is being moved is waited for, as long as the deadline lets; else it is left at once.
    where: what messages call the cluster.
    """
    parcels = _Parcels(calls, routes, patient, where)
    seconds = deadline.left()
    until = time.monotonic() + seconds  # of one that is renewed: for sending again, too
    least = min(max(seconds / 10, LEAST_SECONDS), MOST_SECONDS)
    redirected, pause = 0, FIRST_PAUSE_SECONDS
    while True:
        if routes.is_stale and (error := (yield from learn_slots(routes, deadline, where))):
            parcels.fail(error)
        if legs := parcels.legs():
            parcels.hear((yield Round([leg for leg, _ in legs], deadline)), legs)
        if not parcels.left:
            return parcels.replies
        redirected = redirected + 1 if parcels.sent_on else 0
        wait = 0.0 if 0 < redirected <= REDIRECTIONS else pause
        is_late = min(deadline.left(), until - time.monotonic()) < wait + least
        if is_late or (wait and deadline.hurried and parcels.are_some_done):
            return parcels.replies
        if wait:
            yield Wait(wait)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def learn_slots(routes: Routes, deadline: Deadline, where: str) -> Generator[Round | Wait, Any, LikesError | None]:
    """Ask one node after the other who has which slot. Returns why none tells, if that is so."""
    error: LikesError = NotSent(f"{where} has no node with any slot; see redis-cli --cluster check")
    for node in routes.to_ask():
        seconds = min(ASKING_SECONDS, deadline.left())
        ((reply,),) = yield Round([Leg(node, [SLOTS])], Deadline(seconds))
        if not isinstance(reply, LikesError):
            if routes.learn(node, reply):
                return None
            continue
        reply = is_no_cluster(reply, node.where)
        if not isinstance(error, RedisUnavailable):
            continue  # what waiting does not cure is told first
        error = NotSent(f"{where}: {reply}") if isinstance(reply, RedisUnavailable) else reply
    return error


def find_owners(
    keys: Mapping[int, bytes], routes: Routes, deadline: Deadline, where: str
) -> Generator[Round | Wait, Any, Mapping[Node, Collection[int]] | LikesError]:
    """The shards by the node that has them now, or why that is not to be known; given with a key of each."""
    if error := (yield from learn_slots(routes, deadline, where)):
        return error
    found: dict[Node, list[int]] = {}
    for shard, key in keys.items():
        node = routes.owner(key)
        if node is None:
            return NotSent(f"{where}: shard {shard} is on no node now")
        found.setdefault(node, []).append(shard)
    return found


class _Parcels:
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
        """Nobody tells the slots. Where waiting may cure it, those whose owner is known are tried all the same."""
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
                self._routes.is_stale = True
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
            heard = [(i, reply) for i, reply in zip(numbers, replies, strict=True) if i is not None]
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
        return isinstance(reply, NotSent)

    def _send_on(self, i: int, node: Node, reply: Elsewhere) -> bool:
        to = Node(reply.host or node.host, reply.port)
        if not reply.asks:
            self._routes.moved(to)
        if self._calls[i].node is not None:
            self.replies[i] = _has_moved(self._calls[i], to)
            return False
        self.replies[i] = NotSent(f"{self._where} sends {_slot(self._calls[i])} from node to node; it is moving")
        self._sent_to[i] = to, reply.asks
        self.sent_on = True
        return True


def _has_moved(call: Call[Any], to: Node) -> NotNow:
    return NotNow(f"{call.node} no longer has all of {_slot(call)}, which moves to {to.where}")


def _slot(call: Call[Any]) -> str:
    return f"shard {call.shard}" if call.shard is not None else "the key"
