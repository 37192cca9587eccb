"""How the calls of one `send` find their nodes where there are several, without I/O.

What is sent when, and again, and when it is given up stands here, once, and in `parcels` where to; whoever drives a
delivery (`routed` for threads, `loop_routed` for asyncio) only carries out rounds, waits, and returns what comes of it.
What goes on over one connection is still an `Exchange`.

Servers answer some calls without doing them: in a Redis Cluster their slot is elsewhere (MOVED, ASK), its keys are on
two nodes (TRYAGAIN), or the node sees too little of the cluster (CLUSTERDOWN); anywhere it may be no master any more
(READONLY). Just those are sent again, as they were, and those of a shard in their order. A call that was sent and not
answered never is: what that means is for the caller to decide.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Mapping, Sequence
from typing import Any

from likes.buffer.calls import Call
from likes.buffer.links.parcels import Parcels
from likes.buffer.links.rounds import Delivery, Node, Round, Wait
from likes.buffer.links.routes import Routes
from likes.buffer.refusals import NotSent
from likes.deadline import Deadline
from likes.errors import LikesError

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.005, 0.2
# A tenth of the time is kept back, within these: a try that is cut short leaves unknown what was certainly not done.
LEAST_SECONDS, MOST_SECONDS = 0.05, 0.5
REDIRECTIONS = 5  # so often a call is sent on at once; a slot that is sent round and round has to settle first


def deliver(calls: Sequence[Call[Any]], routes: Routes, deadline: Deadline, *, patient: bool, where: str) -> Delivery:
    """A reply for each call, or the LikesError that stands in its place.

    patient: a shard that is being moved is waited for, as long as the deadline lets; else it is left at once.
    where: what messages call the servers.
    """
    parcels = Parcels(calls, routes, patient, where)
    seconds = deadline.left()
    until = time.monotonic() + seconds  # of one that is renewed: for sending again, too
    least = min(max(seconds / 10, LEAST_SECONDS), MOST_SECONDS)
    redirected, pause = 0, FIRST_PAUSE_SECONDS
    while True:
        if routes.is_stale and (error := (yield from routes.find(deadline.left()))):
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


def find_owners(
    keys: Mapping[int, bytes], routes: Routes, deadline: Deadline, where: str
) -> Generator[Round | Wait, Any, Mapping[Node, Collection[int]] | LikesError]:
    """The shards by the node that has them now, or why that is not to be known; given with a key of each."""
    if error := (yield from routes.find(deadline.left())):
        return error
    found: dict[Node, list[int]] = {}
    for shard, key in keys.items():
        node = routes.owner(key)
        if node is None:
            return NotSent(f"{where}: shard {shard} is on no node now")
        found.setdefault(node, []).append(shard)
    return found
