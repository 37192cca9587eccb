"""Whether each total is what was added to it, by all that is on record: the ledger, what was pruned of it, resolutions.

All is read as of one moment, however long it takes, in a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import Connection, Engine, func, select

from likes.sql import books, pruned
from likes.sql.contents import Entry, read_contents
from likes.sql.dialects import dialect_of
from likes.sql.engine import open_engine, reading
from likes.sql.fingerprint import Fingerprint, Off, place_of
from likes.sql.letters import posted_item
from likes.sql.tables import batches, dead_letters, totals
from likes.sql.urls import url_of

SECONDS = 3600.0  # ten million totals take a minute, a batch of 250 half a millisecond
ROWS_AT_ONCE = 5000


class OffItem(NamedTuple):
    """An item whose total is `amount` more than what was added to it; `total` is None where it has none."""

    counter: str
    item: str
    total: int | None
    amount: int


class ItemBooks(NamedTuple):
    """How many totals were compared with how many batches in the ledger, `pruned` ones and resolutions.

    unknown: batches whose content was not kept. is_missing: more, or less, was applied than all of those had added, so
    that nothing can be said of single items. is_saturated: sums reached the limits of 64 bits, with the same result.
    off: the items that are off; unnamed: by how much others are, several in each slice or under a name nobody knows.
    """

    totals: int
    batches: int
    pruned: int
    resolutions: int
    unknown: int
    is_missing: bool
    is_saturated: bool
    off: Sequence[OffItem]
    unnamed: Sequence[int]


def compare_items(engine: Engine) -> ItemBooks:
    """Compare them, over all namespaces; changes nothing."""
    with _as_of_one_moment(engine) as connection:
        added = pruned.read_all(connection)
        for deltas in read_contents(connection):
            added.fold(deltas)
        sums = books.read_sums(connection)
        is_missing = added.sums.differs_by(sums.applied - sums.resolved)
        expected, found = added.sums, Fingerprint()
        resolutions = expected.fold(_resolutions(connection))
        number = found.fold(_totals(connection))
        can_be_compared = not (added.unknown or is_missing or sums.is_saturated)
        slices = dict(found.off_from(expected)) if can_be_compared else {}
        off = _find(connection, slices) if slices else []
        in_ledger = connection.execute(select(func.count()).select_from(batches)).scalar_one()
    return ItemBooks(
        totals=number,
        batches=in_ledger,
        pruned=added.batches,
        resolutions=resolutions,
        unknown=added.unknown,
        is_missing=is_missing,
        is_saturated=sums.is_saturated,
        off=off,
        unnamed=[each.amount for each in slices.values()],
    )


def _find(connection: Connection, slices: dict[int, Off]) -> list[OffItem]:
    """The items that alone are off in their slices, which are taken out of `slices`."""
    off: list[OffItem] = []
    for counter, item, total in _totals(connection):
        index, number = place_of(counter, item)
        if index in slices and slices[index].is_of(number):
            off.append(OffItem(counter, item, total, slices.pop(index).amount))
    for counter, item, _ in _added(connection) if slices else ():
        index, number = place_of(counter, item)
        if index in slices and slices[index].is_of(number):
            off.append(OffItem(counter, item, None, slices.pop(index).amount))
    return off


def _added(connection: Connection) -> Iterator[Entry]:
    """All that is on record one by one."""
    for deltas in read_contents(connection):
        yield from deltas or ()
    yield from _resolutions(connection)


def _totals(connection: Connection) -> Iterator[Entry]:
    rows = select(totals.c.counter, totals.c.item, totals.c.total)
    yield from connection.execute(rows.execution_options(yield_per=ROWS_AT_ONCE))


def _resolutions(connection: Connection) -> Iterator[Entry]:
    letter = dead_letters.c
    rows = select(letter.counter, letter.item, letter.delta, letter.raw, letter.applied_delta)
    applied = rows.where(letter.applied_delta.is_not(None)).execution_options(yield_per=ROWS_AT_ONCE)
    for counter, item, delta, raw, added in connection.execute(applied):
        yield counter, posted_item(item, delta, raw), added


@contextmanager
def _as_of_one_moment(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads what was there when it began, with ample time."""
    patient = open_engine(url_of(engine), timeout=SECONDS, pool_size=1)
    try:
        with reading(patient.execution_options(**dialect_of(engine).SNAPSHOT)) as connection:
            yield connection
    finally:
        patient.dispose()
