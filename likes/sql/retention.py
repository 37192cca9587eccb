"""The ledger's retention: rows that are old enough are deleted, and what they had added is kept as a fingerprint."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import accumulate, groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, delete, exists, select

from likes.sql import pruned
from likes.sql.contents import read_contents
from likes.sql.tables import batches
from likes.sql.transaction import transact

CHUNK = 1000
ENTRIES_A_CHUNK = 200_000  # a transaction reads them all: half a second


def prune_ledger(engine: Engine, namespace: str, before: datetime, *, newest: int, seconds: float) -> int:
    """Delete rows applied before a moment, but never the last `newest` of an epoch, which may still be in flight.

    Returns how many. Stops after `seconds`: flushes must not wait for long.
    """
    deadline = time.monotonic() + seconds
    deleted, last = 0, CHUNK
    while last and time.monotonic() < deadline:
        last = transact(engine, lambda connection: _prune_chunk(connection, namespace, before, newest))
        deleted += last
    return deleted


def _prune_chunk(connection: Connection, namespace: str, before: datetime, newest: int) -> int:
    gone = pruned.lock(connection, namespace)
    found = _find_old(connection, namespace, before, newest)
    for rows in _by_epoch(namespace, found):
        for deltas in read_contents(connection, *rows):
            gone.fold(deltas)
        connection.execute(delete(batches).where(*rows))
    if found:
        gone.batches += len(found)
        pruned.store(connection, namespace, gone)
    return len(found)


def _find_old(connection: Connection, namespace: str, before: datetime, newest: int) -> Sequence[Row[Any]]:
    """The oldest rows, as many as one transaction takes, but for one at least."""
    newer = batches.alias()
    row, later = batches.c, newer.c
    old: Select[Any] = (
        select(row.shard, row.epoch, row.seq, row["items"])
        .where(
            row.namespace == namespace,
            row.applied_at < before,
            exists().where(
                later.namespace == namespace,
                later.shard == row.shard,
                later.epoch == row.epoch,
                later.seq >= row.seq + newest,
            ),
        )
        .order_by(row.applied_at)
        .limit(CHUNK)
    )
    found = connection.execute(old).all()
    entries = accumulate(each[-1] for each in found)
    return found[: 1 + sum(number < ENTRIES_A_CHUNK for number in entries)]


def _by_epoch(namespace: str, found: Sequence[Row[Any]]) -> Iterator[tuple[ColumnElement[bool], ...]]:
    """What says of rows that they are those found, epoch by epoch."""
    row = batches.c
    for (shard, epoch), rows in groupby(sorted(found), key=lambda each: each[:2]):
        numbers = [each.seq for each in rows]
        yield row.namespace == namespace, row.shard == shard, row.epoch == epoch, row.seq.in_(numbers)
