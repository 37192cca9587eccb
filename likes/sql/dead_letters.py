"""Dead letters: entries that could not be counted, kept for an operator with what they were and why."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, insert
from sqlalchemy.exc import DBAPIError

from likes.batch import Batch, BatchId
from likes.deltas import Deltas
from likes.sql.dialects import dialect_of
from likes.sql.tables import dead_letters

REFUSED = "the database refused it"  # how the reason of an entry begins whose batch was counted without it
LONGEST_RAW = 2**16  # bytes: the beginning tells what it was; megabytes may be more than a database takes at once


class DeadLetter(NamedTuple):
    """An entry set aside: its `delta`; where it is no number that is None, and `raw` is what was there."""

    counter: str
    item: str
    delta: int | None
    raw: bytes | None
    reason: str


def misfits_of(batch: Batch) -> list[DeadLetter]:
    """The entries of a batch that are no deltas."""
    return [DeadLetter(m.counter, m.item, None, m.raw[:LONGEST_RAW], m.reason) for m in batch.misfits]


def everything_in(batch: Batch, reason: str) -> list[DeadLetter]:
    """All entries of a batch that is not to be counted."""
    return [*(DeadLetter(d.counter, d.item, d.delta, None, reason) for d in batch.deltas), *misfits_of(batch)]


def add_or_refuse(connection: Connection, deltas: Deltas, now: datetime) -> list[DeadLetter]:
    """Add to the totals what the database takes. What it refuses is halved down to single entries, which it returns."""
    if not deltas:
        return []
    dialect = dialect_of(connection)
    savepoint = connection.begin_nested()
    try:
        dialect.add_to_totals(connection, deltas, now)
    except DBAPIError as error:
        if not dialect.is_bad_data(error):
            raise  # past the savepoint: on MariaDB a deadlock has rolled back the whole transaction
        savepoint.rollback()
        if len(deltas) > 1:
            middle = len(deltas) // 2
            refused = add_or_refuse(connection, deltas[:middle], now)
            return refused + add_or_refuse(connection, deltas[middle:], now)
        delta = deltas[0]
        return [DeadLetter(delta.counter, delta.item, delta.delta, None, f"{REFUSED}: {_words(error)}")]
    savepoint.commit()
    return []


def write(connection: Connection, namespace: str, batch: BatchId, letters: Iterable[DeadLetter], now: datetime) -> None:
    """Keep `letters` of a batch."""
    rows = [
        {
            "namespace": namespace,
            **batch._asdict(),
            "at": now,
            **letter._asdict(),
        }
        for letter in letters
    ]
    if rows:
        connection.execute(insert(dead_letters), rows)


def _words(error: DBAPIError) -> str:
    return str(error.orig).splitlines()[0][:200]
