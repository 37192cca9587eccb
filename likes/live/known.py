"""What a live total needs of SQL. It is read in another thread, as no driver ends a query by a deadline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import NamedTuple, Protocol

from likes.errors import LikesError
from likes.member import Member


class Identity(NamedTuple):
    """Which database it is: its id, "" before its first flush. shared: other namespaces add to the same totals."""

    database: str
    shared: bool


class Position(NamedTuple):
    """Where SQL stands in a shard: the epoch and number of its cursor, and the generation of its totals."""

    epoch: str | None = None
    seq: int = 0
    generation: int = 0


class Known(NamedTuple):
    """What one statement read: the total of each member, where its shards stand, and which database it is."""

    totals: Mapping[Member, int]
    positions: Mapping[int, Position]
    identity: Identity


class Sql(Protocol):
    """Reads SQL in another thread. An error of ours is what a future results in, and is not raised by it."""

    def identity(self) -> Future[Identity | LikesError]:
        """Which database it is."""
        ...

    def totals(self, members: Sequence[Member], shards: Sequence[int]) -> Future[Known | LikesError]:
        """Totals and where the shards stand, in one statement."""
        ...
