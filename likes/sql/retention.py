"""The ledger's retention: rows that are old enough are deleted."""

from __future__ import annotations

import time
from datetime import datetime
from itertools import groupby

from sqlalchemy import Connection, Engine, delete, exists, select

from likes.sql.tables import batches
from likes.sql.transaction import transact

CHUNK = 1000


def prune_ledger(engine: Engine, namespace: str, before: datetime, *, newest: int, seconds: float) -> int:
    """Delete rows applied before a moment, but never the last `newest` of an epoch, which may still be in flight.

    Returns how many. Stops after `seconds`: flushes must not wait for long.
    """
    deadline = time.monotonic() + seconds
    deleted, last = 0, CHUNK
    while last == CHUNK and time.monotonic() < deadline:
        last = transact(engine, lambda connection: _prune_chunk(connection, namespace, before, newest))
        deleted += last
    return deleted


def _prune_chunk(connection: Connection, namespace: str, before: datetime, newest: int) -> int:
    newer = batches.alias()
    row, later = batches.c, newer.c
    old = (
        select(row.shard, row.epoch, row.seq)
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
    found = sorted(connection.execute(old))
    for (shard, epoch), rows in groupby(found, key=lambda found: found[:2]):
        numbers = [seq for _, _, seq in rows]
        connection.execute(
            delete(batches).where(
                row.namespace == namespace, row.shard == shard, row.epoch == epoch, row.seq.in_(numbers)
            )
        )
    return len(found)
