"""A reader of live totals that is let go on one call at a time, as `stepping` does for a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from sqlalchemy import Engine

from likes.buffer.links.link import Link
from likes.deadline import Deadline
from likes.errors import LikesError
from likes.live.caching import CacheRules
from likes.live.known import Identity, Known
from likes.live.reading import Reader
from likes.live.total import LiveTotal
from likes.member import Member
from likes.posting.steps import Query, Send
from likes.sql.totals import KnownTotals


class AtOnce:
    """SQL, read in this thread. `queries`: how often totals were asked for."""

    def __init__(self, engine: Engine, namespace: str = "likes") -> None:
        self._totals = KnownTotals(engine, namespace)
        self.queries = 0

    def identity(self) -> Future[Identity | LikesError]:
        return _done(self._totals.identity)

    def totals(self, members: Sequence[Member], shards: Sequence[int]) -> Future[Known | LikesError]:
        self.queries += 1
        return _done(lambda: self._totals.totals(members, shards))


def _done(read: Callable[[], Any]) -> Future[Any]:
    future: Future[Any] = Future()
    try:
        future.set_result(read())
    except LikesError as error:
        future.set_result(error)
    return future


def reader_on(engine: Engine, namespace: str = "likes", **rules: Any) -> Reader:
    """A reader, as a process of its own would have; its `sql.queries` counts."""
    return Reader(namespace, 1, AtOnce(engine, namespace), CacheRules(**rules))


class SteppedRead:
    """One read; `step` makes its next call. `found` is complete once it `is_over`."""

    def __init__(self, reader: Reader, link: Link, members: Mapping[int, Sequence[Member]]) -> None:
        self.found: dict[Member, LiveTotal | LikesError] = {}
        self.is_over = False
        self._link = link
        self._steps = reader.live(members, Deadline(60), self.found.__setitem__)
        self._answer: Any = None
        self._need: Any = None
        self._go_on()

    def step(self) -> None:
        """Make one call."""
        match self._need:
            case Send(calls, deadline):
                self._answer = self._link.send(calls, deadline)
            case Query(ask, _):
                self._answer = ask().result()
            case _:
                self._answer = None
        self._go_on()

    def finish(self) -> LiveTotal:
        """Go on to the end; the total, if it was of one member."""
        while not self.is_over:
            self.step()
        (total,) = self.found.values()
        assert isinstance(total, LiveTotal), total
        return total

    def _go_on(self) -> None:
        try:
            self._need = self._steps.send(self._answer)
        except StopIteration:
            self.is_over = True
