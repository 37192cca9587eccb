"""How much is in the totals, of all items and counters; every row is looked at."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Engine, func, select

from likes.sql.engine import reading
from likes.sql.sums import exact_sum, joined
from likes.sql.tables import totals


class Size(NamedTuple):
    """How many rows, and the sum of their totals."""

    items: int
    total: int


def size_of(engine: Engine) -> Size:
    """The size of the totals."""
    with reading(engine) as connection:
        items, *halves = connection.execute(select(func.count(), *exact_sum(totals.c.total))).one()
    return Size(items, joined(halves))
