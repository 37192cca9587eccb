"""Reading totals: for a live total together with the cursors, in one statement; and as they stand."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Engine,
    Integer,
    Select,
    cast,
    func,
    literal,
    null,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.exc import DBAPIError

from likes.errors import DatabaseRefused, DatabaseUnavailable
from likes.forks import whole
from likes.live.known import Identity, Known, Position
from likes.member import Member, member_of, named
from likes.sql.dialects import BIG_INTEGER, dialect_of
from likes.sql.engine import reading
from likes.sql.tables import COUNTER, EPOCH, ITEM, cursors, database, totals

ITEMS_A_STATEMENT = 500
ITEMS_A_PAGE = 5000
_OF_AN_ITEM, _OF_THE_DATABASE = -1, -2  # in place of a shard


class Total(NamedTuple):
    """What SQL holds for one item; `updated_at` is None where it holds nothing."""

    item: str
    counter: str
    total: int
    updated_at: datetime | None


class KnownTotals:
    """Reads what live totals need of SQL for one namespace."""

    def __init__(self, engine: Engine, namespace: str) -> None:
        self._engine = engine
        self._namespace = namespace

    def identity(self) -> Identity:
        """Which database it is."""
        return self.totals((), ()).identity

    def totals(self, members: Sequence[Member], shards: Sequence[int]) -> Known:
        """The totals of `members` and where the `shards` stand, all of one moment."""
        with nullcontext() if dialect_of(self._engine).SURVIVES_FORK else whole:
            return self._read_again(members, shards)

    def top(self, counter: str, limit: int) -> list[Total]:
        """The `limit` items with the largest totals, largest first."""
        with nullcontext() if dialect_of(self._engine).SURVIVES_FORK else whole:
            try:
                return largest_totals(self._engine, counter, limit)
            except DatabaseUnavailable:  # of a connection from before a restart, most likely
                return largest_totals(self._engine, counter, limit)

    def _read_again(self, members: Sequence[Member], shards: Sequence[int]) -> Known:
        try:
            return self._read(members, shards)
        except DatabaseUnavailable:  # of an application's connection from before a restart, most likely
            return self._read(members, shards)
        except DatabaseRefused as error:
            held = _holdable(self._engine, [named(member)[1] for member in members], error)
            return self._read([member for member in members if named(member)[1] in held], shards)

    def _read(self, members: Sequence[Member], shards: Sequence[int]) -> Known:
        found: dict[Member, int] = {}
        positions: dict[int, Position] = {}
        identity = Identity("", shared=False)
        with reading(self._engine) as connection:
            for counter, item, number, word, shard, generation in connection.execute(self._statement(members, shards)):
                if shard == _OF_AN_ITEM:
                    found[member_of(item.encode(), counter.encode())] = number
                elif shard == _OF_THE_DATABASE:
                    identity = Identity(word, shared=number > 0)
                else:
                    positions[shard] = Position(word, number, generation)
        return Known(found, positions, identity)

    def _statement(self, members: Sequence[Member], shards: Sequence[int]) -> CompoundSelect[Any]:
        """Of each item: counter, item, total; of each shard: seq, epoch, shard, generation; of the database: how many
        other namespaces it has, and its id.
        """
        no_name = cast(null(), COUNTER), cast(null(), ITEM)
        of_items = select(
            *(totals.c.counter, totals.c.item, totals.c.total, cast(null(), EPOCH)),
            *(literal(_OF_AN_ITEM, Integer), literal(0, BIG_INTEGER)),
        ).where(tuple_(totals.c.counter, totals.c.item).in_([named(member) for member in members]))
        of_shards = select(*no_name, cursors.c.seq, cursors.c.epoch, cursors.c.shard, cursors.c.generation).where(
            cursors.c.namespace == self._namespace, cursors.c.shard.in_(shards)
        )
        others = select(func.count()).select_from(cursors).where(cursors.c.namespace != self._namespace)
        of_the_database = select(
            *(*no_name, others.scalar_subquery(), cast(database.c.id, EPOCH)),
            *(literal(_OF_THE_DATABASE, Integer), literal(0, BIG_INTEGER)),
        ).where(database.c.only == 1)
        return union_all(of_items, of_shards, of_the_database)


_ROW = select(totals.c.item, totals.c.counter, totals.c.total, totals.c.updated_at)


def totals_of(engine: Engine, items: Sequence[str], counter: str) -> Iterator[Total]:
    """The total of each of `items`, in their order; read 500 at a time."""
    for start in range(0, len(items), ITEMS_A_STATEMENT):
        some = items[start : start + ITEMS_A_STATEMENT]
        found = {total.item: total for total in _of_items(engine, some, counter)}
        yield from (found.get(item, Total(item, counter, 0, None)) for item in some)


def _of_items(engine: Engine, items: Collection[str], counter: str) -> list[Total]:
    rows = _ROW.where(totals.c.counter == counter)
    try:
        return _read(engine, rows.where(totals.c.item.in_(items)))
    except DatabaseRefused as error:
        return _read(engine, rows.where(totals.c.item.in_(_holdable(engine, items, error))))


def _holdable(engine: Engine, items: Collection[str], error: DatabaseRefused) -> set[str]:
    """Those of `items` that the database's encoding can hold, if `error` is about that: others have no total."""
    if not (isinstance(error.__cause__, DBAPIError) and dialect_of(engine).is_bad_data(error.__cause__)):
        raise error
    with reading(engine) as connection:
        return set(_held(connection, [*items]))


def _held(connection: Connection, items: Sequence[str]) -> Iterator[str]:
    savepoint = connection.begin_nested()
    try:
        connection.execute(select(literal("\n".join(items))))
    except DBAPIError as error:
        if not dialect_of(connection).is_bad_data(error):
            raise
        savepoint.rollback()
        if len(items) > 1:
            yield from _held(connection, items[: len(items) // 2])
            yield from _held(connection, items[len(items) // 2 :])
        return
    savepoint.commit()
    yield from items


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
