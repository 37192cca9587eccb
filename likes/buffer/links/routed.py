"""A link to one of several servers for threads: to the nodes of a Redis Cluster, or to the master that Sentinels name.
`loop_routed` has the same for asyncio.

redis-py's own clients for these are not used, but for their connections: they send again by themselves and know no
missing scripts; that of a cluster fails on a node that is only just being given its first slot, and that of Sentinels
believes the first one that answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from typing import Any, TypeVar

from likes.buffer.calls import Call
from likes.buffer.links.blocking import read_reply
from likes.buffer.links.delivery import deliver, find_owners
from likes.buffer.links.exchange import Exchange
from likes.buffer.links.learned import Learned
from likes.buffer.links.lender import Lender
from likes.buffer.links.rounds import Node, Round, Wait
from likes.buffer.links.routes import Routes
from likes.buffer.refusals import BROKEN
from likes.deadline import Deadline
from likes.errors import LikesError

T = TypeVar("T")


class RoutedLink:
    """Sends each call to the node that has its shard, over connections that never send again by themselves. For any
    number of threads.

    connect: from a node to what makes a connection to it that is not open yet. routes: who has which shard.
    where: what messages call the whole. timeout: for how many seconds the next answer is waited for, and a call sent
    again that was not done, where it has no deadline.
    """

    def __init__(
        self, connect: Callable[[Node], Callable[[], Any]], routes: Routes, where: str, timeout: float
    ) -> None:
        self.where = where
        self._connect = connect
        self._timeout = timeout
        self._routes = routes
        self._nodes: dict[Node, _Server] = {}

    def send(self, calls: Sequence[Call[Any]], deadline: Deadline | None = None) -> list[Any]:
        """A reply for each call, read by it, or the LikesError that stands in its place.

        Without a deadline a shard that is being moved is not waited for.
        """
        patient = deadline is not None
        deadline = deadline or Deadline(self._timeout, renewed=True)
        return self._carry_out(deliver(calls, self._routes, deadline, patient=patient, where=self.where))

    def by_node(self, keys: Mapping[int, bytes]) -> Mapping[str, Collection[int]]:
        """The shards by what messages call the node that has them now, given with a key of each. Raises what is
        answered instead.
        """
        found = self._carry_out(find_owners(keys, self._routes, Deadline(self._timeout), self.where))
        if isinstance(found, LikesError):
            raise found
        return {node.where: shards for node, shards in found.items()}

    def close(self) -> None:
        """Close all connections."""
        for server in [*self._nodes.values()]:
            server.lender.close()

    def _carry_out(self, delivery: Generator[Round | Wait, Any, T]) -> T:
        answer: Any = None
        while True:
            try:
                need = delivery.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(need, Wait):
                time.sleep(need.seconds)
                answer = None
            else:
                answer = self._go_round(need)

    def _go_round(self, wanted: Round) -> list[list[Any]]:
        """Write to all nodes before the first is read, and again whenever each has answered something."""
        talks: list[_Talk] = []
        try:
            for leg in wanted.legs:
                talks.append(talk := _Talk(self._server(leg.node), leg.calls, wanted.deadline, len(wanted.legs)))
                talk.write()  # at once: the next one may take long to connect to
            while going := [talk for talk in talks if talk.goes_on]:
                for talk in going:
                    talk.read()
                for talk in going:
                    talk.write()
        finally:
            for talk in talks:
                talk.end()
        return [talk.exchange.replies() for talk in talks]

    def _server(self, node: Node) -> _Server:
        if (server := self._nodes.get(node)) is not None:
            return server
        for gone in [each for each in [*self._nodes] if not self._routes.knows(each)]:
            if (left := self._nodes.pop(gone, None)) is not None:
                left.lender.close()
        return self._nodes.setdefault(node, _Server(node, self._connect(node)))


class _Server:
    """One node, as a link knows it. It need not be asked whether it is one."""

    def __init__(self, node: Node, connect: Callable[[], Any]) -> None:
        self.where = node.where
        self.learned = Learned(greeted=True)
        self.lender = Lender(connect)


class _Talk:
    """An exchange with one node, beside those with others: so many as share the time there is for connecting.

    goes_on: something is to be written or read still.
    """

    def __init__(self, server: _Server, calls: Sequence[Call[Any]], deadline: Deadline, together: int) -> None:
        self.exchange = Exchange(calls, server.where, server.learned)
        self.goes_on = True
        self._lender = server.lender
        self._deadline = deadline
        self._connection: Any = None
        try:
            self._connection = server.lender.lend(deadline if together == 1 else Deadline(deadline.left() / 2))
            deadline.has_connection()
        except BROKEN as error:
            self.exchange.had_no_connection(error)
            self.goes_on = False

    def write(self) -> None:
        """Write all that may be written now."""
        if not self.goes_on:
            return
        try:
            for request in self.exchange.requests():
                self._connection.send_packed_command([request])
        except BROKEN as error:
            self._break_off(error)

    def read(self) -> None:
        """Read one reply."""
        if not self.goes_on:
            return
        try:
            self._connection.update_current_socket_timeout(self._deadline.left())
            self.exchange.hear(read_reply(self._connection))
        except BROKEN as error:
            self._break_off(error)
            return
        self._deadline.has_answer()
        self.goes_on = not self.exchange.is_over

    def end(self) -> None:
        """Give the connection back; the next call would take replies that are still under way for its own."""
        if self._connection is not None:
            self._lender.take_back(self._connection, broken=self.exchange.awaits_reply)

    def _break_off(self, error: Exception) -> None:
        self.exchange.broke_off(error)
        self.goes_on = False
