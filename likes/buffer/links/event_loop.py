"""A link for asyncio; `blocking` has the same for threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import exceptions as redis_errors

from likes.buffer.calls import Call
from likes.buffer.links.exchange import Exchange
from likes.buffer.links.learned import Learned
from likes.buffer.refusals import ANSWERS


class EventLoopLink:
    """Sends calls over the connections of a redis-py pool that never sends again by itself. For one event loop's tasks.

    `where` is what messages call the server.
    """

    def __init__(self, pool: Any, where: str) -> None:
        self.where = where
        self._pool = pool
        self._learned = Learned()

    async def send(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """A reply for each call, read by it, or the LikesError that stands in its place."""
        exchange = Exchange(calls, self.where, self._learned)
        try:
            connection = await self._pool.get_connection()
        except redis_errors.RedisError as error:
            exchange.had_no_connection(error)
            return exchange.replies()
        try:
            await _carry_out(exchange, connection)
        except redis_errors.RedisError as error:
            exchange.broke_off(error)
        finally:
            if exchange.awaits_reply:  # the next call would take the replies still under way for its own
                await connection.disconnect(nowait=True)
            await self._pool.release(connection)
        return exchange.replies()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.disconnect()


async def _carry_out(exchange: Exchange, connection: Any) -> None:
    while True:
        if requests := [*exchange.requests()]:  # together, as every write costs a turn of the loop
            await connection.send_packed_command(requests)
        if not exchange.awaits_reply:
            return
        exchange.hear(await _read(connection))


async def _read(connection: Any) -> Any:
    try:
        return await connection.read_response(disconnect_on_error=False)
    except ANSWERS as error:
        return error
