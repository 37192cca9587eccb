"""A link for threads; `event_loop` has the same for asyncio."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from likes.buffer.calls import Call
from likes.buffer.links.exchange import Exchange
from likes.buffer.links.learned import Learned
from likes.buffer.links.lender import Lender
from likes.buffer.refusals import ANSWERS, BROKEN
from likes.deadline import Deadline


class BlockingLink:
    """Sends calls over connections that never send again by themselves. For any number of threads.

    connect: makes a connection of redis-py that is not open yet. where: what messages call the server.
    timeout: for how many seconds the next answer is waited for, where a call has no deadline.
    """

    def __init__(self, connect: Callable[[], Any], where: str, timeout: float, learned: Learned | None = None) -> None:
        """learned: what is known of the server already."""
        self.where = where
        self._timeout = timeout
        self._learned = learned or Learned()
        self._lender = Lender(connect)

    def send(self, calls: Sequence[Call[Any]], deadline: Deadline | None = None) -> list[Any]:
        """A reply for each call, read by it, or the LikesError that stands in its place."""
        deadline = deadline or Deadline(self._timeout, renewed=True)
        exchange = Exchange(calls, self.where, self._learned)
        try:
            connection = self._lender.lend(deadline)
        except BROKEN as error:
            exchange.had_no_connection(error)
            return exchange.replies()
        try:
            _carry_out(exchange, connection, deadline)
        except BROKEN as error:
            exchange.broke_off(error)
        finally:  # the next call would take replies that are still under way for its own
            self._lender.take_back(connection, broken=exchange.awaits_reply)
        return exchange.replies()

    def by_node(self, keys: Mapping[int, bytes]) -> Mapping[str, Collection[int]]:
        """All shards: there is one node."""
        return {self.where: [*keys]} if keys else {}

    def close(self) -> None:
        """Close all connections."""
        self._lender.close()


def _carry_out(exchange: Exchange, connection: Any, deadline: Deadline) -> None:
    connection.update_current_socket_timeout(
        deadline.left()
    )  # which begins anew with every read, as for a `renewed` one
    while True:
        for request in exchange.requests():
            connection.send_packed_command([request])
        if not exchange.awaits_reply:
            return
        exchange.hear(read_reply(connection))
        if not deadline.has_answer() and not exchange.is_over:
            connection.update_current_socket_timeout(deadline.left())


def read_reply(connection: Any) -> Any:
    """The next reply, which may be an error. Raises one of BROKEN if there is none."""
    try:
        return connection.read_response(disconnect_on_error=False)
    except ANSWERS as error:
        return error
