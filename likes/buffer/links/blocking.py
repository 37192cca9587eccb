"""A link for threads; `event_loop` has the same for asyncio."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from redis import ConnectionPool
from redis import exceptions as redis_errors

from likes.buffer.calls import Call
from likes.buffer.links.exchange import Exchange
from likes.buffer.links.learned import Learned
from likes.buffer.refusals import ANSWERS


class BlockingLink:
    """Sends calls over the connections of a redis-py pool that never sends again by itself. For any number of threads.

    `where` is what messages call the server.
    """

    def __init__(self, pool: ConnectionPool, where: str) -> None:
        self.where = where
        self._pool = pool
        self._learned = Learned()

    def send(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """A reply for each call, read by it, or the LikesError that stands in its place."""
        exchange = Exchange(calls, self.where, self._learned)
        try:
            connection: Any = self._pool.get_connection()  # redis-py leaves a connection's methods untyped
        except redis_errors.RedisError as error:
            exchange.had_no_connection(error)
            return exchange.replies()
        try:
            _carry_out(exchange, connection)
        except redis_errors.RedisError as error:
            exchange.broke_off(error)
        finally:
            if exchange.awaits_reply:  # the next call would take the replies still under way for its own
                connection.disconnect()
            self._pool.release(connection)
        return exchange.replies()

    def by_node(self, shards: Collection[int]) -> Sequence[Collection[int]]:
        """All shards: there is one node."""
        return [shards] if shards else []

    def close(self) -> None:
        """Close all connections."""
        self._pool.disconnect()


def _carry_out(exchange: Exchange, connection: Any) -> None:
    while True:
        for request in exchange.requests():
            connection.send_packed_command([request])
        if not exchange.awaits_reply:
            return
        exchange.hear(_read(connection))


def _read(connection: Any) -> Any:
    try:
        return connection.read_response(disconnect_on_error=False)
    except ANSWERS as error:
        return error
