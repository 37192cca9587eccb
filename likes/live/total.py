"""A live total, and what it is added up from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from likes.member import Member


class LiveTotal(NamedTuple):
    """A live total and its parts; each may be negative.

    exact: False while Redis has gone back, or was replaced, and no flush has noticed it yet; where Redis belongs to
    another database; while a batch in flight is of a later version; or where Redis was away, so that it is the
    database's total alone.
    """

    total: int
    database: int
    in_flight: int
    pending: int
    exact: bool = True


def of_database(total: int) -> LiveTotal:
    """The database's total alone, where nothing can be added to it for certain."""
    return LiveTotal(total, total, 0, 0, exact=False)


def add_up(
    member: Member,
    database: int,
    cursor: int,
    in_flight: Mapping[int, Mapping[Member, int]],
    pending: int,
    *,
    exact: bool,
) -> LiveTotal:
    """The live total of a member; of the batches in flight those count that are past the cursor of `database`."""
    flying = sum(deltas.get(member, 0) for number, deltas in in_flight.items() if number > cursor)
    return LiveTotal(database + flying + pending, database, flying, pending, exact)
