"""Dead letters: entries that could not be counted, kept for an operator with what they were and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert
from sqlalchemy.exc import DBAPIError

from likes.batch import Batch, BatchId
from likes.deltas import Deltas
from likes.errors import DatabaseRefused
from likes.sql.dialects import dialect_of
from likes.sql.said import said
from likes.sql.tables import dead_letters

REFUSED = "the database refused it"  # how the reason of an entry begins whose batch was counted without it
GIVEN_UP = "its epoch was given up"  # the reason of all entries of a batch that was set aside
_INSERT = insert(dead_letters)
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
    """Add to the totals what the database takes; returns the entries that it refuses, whatever it has against them."""
    if not deltas:
        return []
    dialect_of(connection).check_constraints_at_once(connection)  # at COMMIT nobody could tell whose fault it is
    return _halved(connection, deltas, now)


def _halved(connection: Connection, deltas: Deltas, now: datetime) -> list[DeadLetter]:
    dialect = dialect_of(connection)
    savepoint = connection.begin_nested()
    try:
        dialect.add_to_totals(connection, deltas, now)
    except (DBAPIError, DatabaseRefused) as error:
        if isinstance(error, DBAPIError) and not dialect.may_be_of_a_row(error):
            raise  # past the savepoint: on MariaDB a deadlock has rolled back the whole transaction
        savepoint.rollback()
        if len(deltas) > 1:
            middle = len(deltas) // 2
            return _halved(connection, deltas[:middle], now) + _halved(connection, deltas[middle:], now)
        _require_it_of_this_row(connection, error)
        delta = deltas[0]
        return [DeadLetter(delta.counter, delta.item, delta.delta, None, f"{REFUSED}: {_words(error)}")]
    savepoint.commit()
    return []


def _require_it_of_this_row(connection: Connection, error: DBAPIError | DatabaseRefused) -> None:
    """Raise `error` if the database would refuse the statement with no row in it, too: then all is refused."""
    savepoint = connection.begin_nested()
    try:
        dialect_of(connection).add_nothing(connection)
    except DBAPIError:
        raise error from None
    savepoint.commit()


def write(connection: Connection, namespace: str, batch: BatchId, letters: Iterable[DeadLetter], now: datetime) -> None:
    """Keep `letters` of a batch. An item the database's encoding cannot hold is escaped; its bytes are in `raw`."""
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
        _insert(connection, rows)


def _insert(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    savepoint = connection.begin_nested()
    try:
        connection.execute(_INSERT, rows)
    except DBAPIError as error:
        if not dialect_of(connection).is_bad_data(error):
            raise
        savepoint.rollback()
        if len(rows) == 1:
            connection.execute(_INSERT, _in_ascii(rows[0]))
            return
        _insert(connection, rows[: len(rows) // 2])
        _insert(connection, rows[len(rows) // 2 :])
        return
    savepoint.commit()


def _in_ascii(row: Mapping[str, Any]) -> Mapping[str, Any]:
    item, reason = (row[name].encode("ascii", "backslashreplace").decode() for name in ("item", "reason"))
    raw = row["item"].encode() if row["raw"] is None and item != row["item"] else row["raw"]
    return {**row, "item": item, "reason": reason, "raw": raw}


def _words(error: DBAPIError | DatabaseRefused) -> str:
    return (said(error) if isinstance(error, DBAPIError) else str(error).splitlines()[0])[:200]
