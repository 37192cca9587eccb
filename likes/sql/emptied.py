"""A Redis that was emptied before the first likes of a shard were flushed: the database knows no epoch that is missing.

But each shard was claimed before it got a cursor; so one that names no database any more has been forgotten, with
whatever was liked there.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, update

from likes.sql import incidents
from likes.sql.clock import read_clock
from likes.sql.cursors import lock_all, read_all
from likes.sql.exposure import window_of
from likes.sql.incidents import Kind
from likes.sql.tables import cursors


def record_emptied(
    connection: Connection, namespace: str, unclaimed: Collection[int], redis_now: datetime | None
) -> None:
    """Record one incident for those of the `unclaimed` shards that have a cursor and no epoch, unless that was told
    since they were last flushed. redis_now: by Redis's clock; None if it does not tell.
    """
    lock_all(connection, namespace)
    known = read_all(connection, namespace)
    forgotten = [
        known[shard]
        for shard in unclaimed
        if shard in known and known[shard].epoch is None and known[shard].covered_by is not None
    ]
    if not forgotten:
        return
    now = read_clock(connection)
    detail = (
        f"Redis was emptied or replaced, or owner keys were deleted: {len(forgotten)} shards in which no like had been "
        "flushed name no database any more"
    )
    exposed = window_of(forgotten, redis_now=redis_now, sql_now=now)
    incidents.record(connection, namespace, Kind.REDIS_REPLACED, detail, at=now, exposed=exposed)
    connection.execute(
        update(cursors)
        .where(cursors.c.namespace == namespace, cursors.c.shard.in_([cursor.shard for cursor in forgotten]))
        .values(covered_by=None)
    )
