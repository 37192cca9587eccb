"""Dead letters as they stand: listed, and looked at one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, func, select

from likes.sql.decision import decided
from likes.sql.engine import reading
from likes.sql.tables import dead_letters

LETTERS_A_PAGE = 1000


class Letter(NamedTuple):
    """An entry set aside, and what became of it.

    raw: what was there where `delta` is None; else the bytes of an item that the database could not hold, which `item`
    only shows.
    """

    id: int
    shard: int
    epoch: str
    seq: int
    nonce: str
    counter: str
    item: str
    delta: int | None
    raw: bytes | None
    reason: str
    at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None
    applied_delta: int | None

    @property
    def is_open(self) -> bool:
        """True until somebody decided."""
        return self.resolved_at is None

    @property
    def posted_item(self) -> str:
        """The item as it was liked, whether or not the database can hold it."""
        return posted_item(self.item, self.delta, self.raw)

    @property
    def entry(self) -> tuple[int, str, str, str]:
        """Which entry of which epoch: the same in letters that may hold the same likes."""
        return self.shard, self.epoch, self.counter, self.item

    @property
    def decision(self) -> str:
        """What was decided, by whom and when; "" while it is open."""
        return decided(self.resolved_at, self.resolved_by, self.resolution)


def posted_item(item: str, delta: int | None, raw: bytes | None) -> str:
    """The item of an entry set aside as it was liked; `raw` has its bytes where the database could not hold it."""
    return item if raw is None or delta is None else raw.decode()


class Wanted(NamedTuple):
    """Which dead letters: of an epoch, an item as it is shown, with words in the reason; `resolved`: also those."""

    epoch: str | None = None
    item: str | None = None
    reason: str | None = None
    resolved: bool = False


_IDS = dead_letters.c.id
_LETTER = select(*(dead_letters.c[name] for name in Letter._fields)).order_by(_IDS)


def letters(engine: Engine, namespace: str, wanted: Wanted) -> Iterator[Letter]:
    """Those that are wanted, the oldest first; each page of 1,000 is of a moment of its own."""
    last = 0
    query = _LETTER.where(dead_letters.c.namespace == namespace, *_conditions(wanted)).limit(LETTERS_A_PAGE)
    while page := _read(engine, query.where(last < _IDS)):
        yield from page
        last = page[-1].id


def last_letter(engine: Engine, namespace: str) -> int:
    """The id of the entry set aside last, 0 if there was none."""
    with reading(engine) as connection:
        return connection.scalar(select(func.max(_IDS)).where(dead_letters.c.namespace == namespace)) or 0


def letters_after(engine: Engine, namespace: str, last: int, most: int) -> tuple[list[Letter], int, int]:
    """The first `most` of those set aside after the one with the id `last`, how many more there are, the newest id."""
    later = (dead_letters.c.namespace == namespace, last < _IDS)
    first = _read(engine, _LETTER.where(*later).limit(most))
    if len(first) < most:
        return first, 0, first[-1].id if first else last
    with reading(engine) as connection:
        number, newest = connection.execute(select(func.count(), func.max(_IDS)).where(*later)).one()
    return first, number - most, newest


class LetterBatch(NamedTuple):
    """A batch of which entries were set aside that are open: how many, and the id of the first."""

    shard: int
    epoch: str
    seq: int
    entries: int
    first: int


def open_batches_since(engine: Engine, namespace: str, since: datetime, most: int) -> list[LetterBatch]:
    """The first `most` batches of which entries were set aside since then, the oldest first."""
    column = dead_letters.c
    batch = (column.shard, column.epoch, column.seq)
    query = (
        select(*batch, func.count(), func.min(_IDS))
        .where(column.namespace == namespace, column.resolved_at.is_(None), column.at >= since)
        .group_by(*batch)
        .order_by(func.min(_IDS))
        .limit(most)
    )
    with reading(engine) as connection:
        return [LetterBatch(*row) for row in connection.execute(query)]


def first_letters(engine: Engine, namespace: str, ids: Collection[int]) -> list[Letter]:
    """Those with these ids, in their order."""
    return _read(engine, _LETTER.where(dead_letters.c.namespace == namespace, _IDS.in_(ids)))


def find(connection: Connection, namespace: str, ids: Collection[int], *, lock: bool = False) -> dict[int, Letter]:
    """Those with these ids, locked in the order of the ids until the transaction ends if that is asked for."""
    query = _LETTER.where(dead_letters.c.namespace == namespace, _IDS.in_(ids))
    rows = connection.execute(query.with_for_update() if lock else query)
    return {row.id: Letter._make(row) for row in rows}


def _conditions(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    column = dead_letters.c
    if not wanted.resolved:
        yield column.resolved_at.is_(None)
    if wanted.epoch is not None:
        yield column.epoch == wanted.epoch
    if wanted.item is not None:
        yield column.item == wanted.item
    if wanted.reason is not None:
        yield column.reason.icontains(wanted.reason, autoescape=True)


def _read(engine: Engine, query: Any) -> list[Letter]:
    with reading(engine) as connection:
        return [Letter._make(row) for row in connection.execute(query)]
