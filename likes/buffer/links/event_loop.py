"""A link for asyncio; `blocking` has the same for threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from likes.buffer.calls import Call
from likes.buffer.links.exchange import Exchange
from likes.buffer.links.learned import Learned
from likes.buffer.links.loop_lender import LoopLender
from likes.buffer.refusals import ANSWERS, BROKEN
from likes.deadline import Deadline
from likes.per_loop import PerLoop

WORTH_RENEWING_SECONDS = 0.001  # answers that come together need not each begin the time anew


class EventLoopLink:
    """Sends calls over connections that never send again by themselves. Each event loop has connections of its own.

    connect: makes a connection of redis-py that is not open yet. where: what messages call the server.
    """

    def __init__(self, connect: Callable[[], Any], where: str, learned: Learned | None = None) -> None:
        """learned: what is known of the server already."""
        self.where = where
        self._learned = learned or Learned()
        self._lenders = PerLoop(partial(LoopLender, connect))

    async def send(self, calls: Sequence[Call[Any]], deadline: Deadline) -> list[Any]:
        """A reply for each call, read by it, or the LikesError that stands in its place."""
        exchange = Exchange(calls, self.where, self._learned)
        lender = self._lenders.get()
        try:
            connection = await lender.lend(deadline)
        except BROKEN as error:
            exchange.had_no_connection(error)
            return exchange.replies()
        try:
            await _carry_out(exchange, connection, deadline)
        except BROKEN as error:
            exchange.broke_off(error)
        finally:  # the next call would take replies that are still under way for its own
            await lender.take_back(connection, broken=exchange.awaits_reply)
        return exchange.replies()

    async def close(self) -> None:
        """Close all connections of this event loop."""
        if lender := self._lenders.take():
            await lender.close()


async def _carry_out(exchange: Exchange, connection: Any, deadline: Deadline) -> None:
    now = asyncio.get_running_loop().time
    renewed_at = now()
    async with asyncio.timeout(deadline.left()) as time_out:
        while True:
            if requests := [*exchange.requests()]:  # together, as every write costs a turn of the loop
                await connection.send_packed_command(requests)
            if not exchange.awaits_reply:
                return
            exchange.hear(await _read(connection))
            if deadline.has_answer() and now() > renewed_at + WORTH_RENEWING_SECONDS:
                renewed_at = now()
                time_out.reschedule(renewed_at + deadline.left())


async def _read(connection: Any) -> Any:
    try:
        return await connection.read_response(disconnect_on_error=False)
    except ANSWERS as error:
        return error
