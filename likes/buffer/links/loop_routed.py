"""A link to one of several servers for asyncio; `routed` has the same for threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from likes.buffer.calls import Call
from likes.buffer.links.delivery import deliver
from likes.buffer.links.event_loop import EventLoopLink
from likes.buffer.links.learned import Learned
from likes.buffer.links.rounds import Leg, Node, Wait
from likes.buffer.links.routes import Routes
from likes.deadline import Deadline


class LoopRoutedLink:
    """Sends each call to the node that has its shard. Each event loop has connections of its own.

    connect: from a node to what makes a connection to it that is not open yet. routes: who has which shard.
    where: what messages call the whole.
    """

    def __init__(self, connect: Callable[[Node], Callable[[], Any]], routes: Routes, where: str) -> None:
        self.where = where
        self._connect = connect
        self._routes = routes
        self._links: dict[Node, EventLoopLink] = {}

    async def send(self, calls: Sequence[Call[Any]], deadline: Deadline) -> list[Any]:
        """A reply for each call, read by it, or the LikesError that stands in its place."""
        delivery = deliver(calls, self._routes, deadline, patient=True, where=self.where)
        answer: Any = None
        while True:
            try:
                need = delivery.send(answer)
            except StopIteration as end:
                replies: list[Any] = end.value
                return replies
            if isinstance(need, Wait):
                await asyncio.sleep(need.seconds)
                answer = None
            elif len(need.legs) == 1:
                answer = [await self._send(need.legs[0], need.deadline)]
            else:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._send(leg, need.deadline)) for leg in need.legs]
                answer = [task.result() for task in tasks]

    async def close(self) -> None:
        """Close all connections of this event loop."""
        for link in [*self._links.values()]:
            await link.close()

    async def _send(self, leg: Leg, deadline: Deadline) -> list[Any]:
        link = self._links.get(leg.node)
        if link is None:
            for gone in [each for each in self._links if not self._routes.knows(each)]:
                if (left := self._links.pop(gone, None)) is not None:
                    await left.close()
            made = EventLoopLink(self._connect(leg.node), leg.node.where, Learned(greeted=True))
            link = self._links.setdefault(leg.node, made)
        return await link.send(leg.calls, deadline)
