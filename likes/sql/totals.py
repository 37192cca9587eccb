"""Reading totals: for a live total together with the cursors, in one statement; and as they stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Engine, Integer, Select, cast, literal, null, select, tuple_, union_all

from likes.errors import DatabaseUnavailable
from likes.forks import whole
from likes.live.reading import Known
from likes.member import Member, member_of, named
from likes.sql.dialects import dialect_of
from likes.sql.engine import reading
from likes.sql.tables import COUNTER, EPOCH, ITEM, cursors, totals

ITEMS_A_STATEMENT = 500
ITEMS_A_PAGE = 5000


class Total(NamedTuple):
    """What SQL holds for one item; `updated_at` is None where it holds nothing."""

    item: str
    counter: str
    total: int
    updated_at: datetime | None


class KnownTotals:
    """Reads what a live total needs of SQL for one namespace."""

    def __init__(self, engine: Engine, namespace: str) -> None:
        self._engine = engine
        self._namespace = namespace

    def __call__(self, members: Sequence[Member], shards: Sequence[int]) -> Known:
        """The totals of `members` and the cursors of `shards`, all of one moment."""
        with nullcontext() if dialect_of(self._engine).SURVIVES_FORK else whole:
            return self._read_again(members, shards)

    def _read_again(self, members: Sequence[Member], shards: Sequence[int]) -> Known:
        try:
            return self._read(members, shards)
        except DatabaseUnavailable:  # of a connection kept from before the database was restarted, most likely
            return self._read(members, shards)

    def _read(self, members: Sequence[Member], shards: Sequence[int]) -> Known:
        wanted = [named(member) for member in members]
        of_items = select(
            totals.c.counter, totals.c.item, totals.c.total, cast(null(), EPOCH), literal(-1, Integer)
        ).where(tuple_(totals.c.counter, totals.c.item).in_(wanted))
        of_shards = select(
            cast(null(), COUNTER), cast(null(), ITEM), cursors.c.seq, cursors.c.epoch, cursors.c.shard
        ).where(cursors.c.namespace == self._namespace, cursors.c.shard.in_(shards))
        found: dict[Member, int] = {}
        stood: dict[int, tuple[str | None, int]] = {}
        with reading(self._engine) as connection:
            for counter, item, number, epoch, shard in connection.execute(union_all(of_items, of_shards)):
                if shard < 0:
                    found[member_of(item.encode(), counter.encode())] = number
                else:
                    stood[shard] = (epoch, number)
        return Known(found, stood)


_ROW = select(totals.c.item, totals.c.counter, totals.c.total, totals.c.updated_at)


def totals_of(engine: Engine, items: Sequence[str], counter: str) -> Iterator[Total]:
    """The total of each of `items`, in their order; read 500 at a time."""
    for start in range(0, len(items), ITEMS_A_STATEMENT):
        some = items[start : start + ITEMS_A_STATEMENT]
        rows = _ROW.where(totals.c.counter == counter, totals.c.item.in_(some))
        found = {total.item: total for total in _read(engine, rows)}
        yield from (found.get(item, Total(item, counter, 0, None)) for item in some)


def largest_totals(engine: Engine, counter: str, limit: int) -> list[Total]:
    """The `limit` items with the largest totals, largest first; totals have no index, so all are looked at."""
    return _read(
        engine, _ROW.where(totals.c.counter == counter).order_by(totals.c.total.desc(), totals.c.item).limit(limit)
    )


def all_totals(engine: Engine, counter: str) -> Iterator[Total]:
    """Every item in the order of the bytes of its name; each page of 5,000 is of a moment of its own."""
    after = ""
    while page := _read(
        engine,
        _ROW.where(totals.c.counter == counter, totals.c.item > after).order_by(totals.c.item).limit(ITEMS_A_PAGE),
    ):
        yield from page
        after = page[-1].item


def _read(engine: Engine, rows: Select[Any]) -> list[Total]:
    with reading(engine) as connection:
        return [Total(*row) for row in connection.execute(rows)]
