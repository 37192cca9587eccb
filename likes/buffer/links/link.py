"""What a link to Redis is: it sends calls, each once, and says of each what became of it.

`blocking` has one for threads, `event_loop` one for asyncio; `exchange` is what both of them do. `routed` and
`loop_routed` have those to one of several servers; `delivery` is what these do, `slots` (a Redis Cluster) and
`sentinels` where to.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from likes.buffer.calls import Call
from likes.deadline import Deadline
from likes.errors import LikesError


class Link(Protocol):
    """Sends calls to Redis."""

    where: str

    def send(self, calls: Sequence[Call[Any]], deadline: Deadline | None = None) -> list[Any]:
        """A reply for each call, read by it, or the LikesError that stands in its place.

        Without a deadline each answer is waited for as long as the link was made to.
        """
        ...

    def by_node(self, keys: Mapping[int, bytes]) -> Mapping[str, Collection[int]]:
        """The shards by what messages call the node that has them; given with a key of each. Raises Unavailable."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class AsyncLink(Protocol):
    """Sends calls to Redis, for asyncio."""

    where: str

    async def send(self, calls: Sequence[Call[Any]], deadline: Deadline) -> list[Any]:
        """A reply for each call, read by it, or the LikesError that stands in its place."""
        ...

    async def close(self) -> None:
        """Close all connections of this event loop."""
        ...


def ask(link: Link, calls: Sequence[Call[Any]]) -> list[Any]:
    """Send `calls` and return their replies; raise the first error among them."""
    replies = link.send(calls)
    for reply in replies:
        if isinstance(reply, LikesError):
            raise reply
    return replies
