"""A live total, and what it is added up from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from likes.member import Member

Doubt = Literal["out-of-step", "other-database", "redis-away"]


class LiveTotal(NamedTuple):
    """A live total and its parts; each may be negative.

    exact: whether it was true at some moment of the read. doubt: why not; None where it is.
        out-of-step: Redis or the database was emptied, replaced or restored, and no flush has noticed it yet; or a
        batch in flight is of a later version.
        other-database: this Redis belongs to another database, which gets what is pending here.
        redis-away: it is the database's total alone.
    """

    total: int
    database: int
    in_flight: int
    pending: int
    exact: bool = True
    doubt: Doubt | None = None


def of_database(total: int, doubt: Doubt | None) -> LiveTotal:
    """The database's total alone, where nothing can be added to it for certain."""
    return LiveTotal(total, total, 0, 0, doubt is None, doubt)


def add_up(
    member: Member,
    database: int,
    cursor: int,
    in_flight: Mapping[int, Mapping[Member, int]],
    pending: int,
    doubt: Doubt | None,
) -> LiveTotal:
    """The live total of a member; of the batches in flight those count that are past the cursor of `database`."""
    flying = sum(deltas.get(member, 0) for number, deltas in in_flight.items() if number > cursor)
    return LiveTotal(database + flying + pending, database, flying, pending, doubt is None, doubt)
