"""Incidents: what happened to a server that may have cost likes, when, and how much where that can be known."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, insert, select

from likes.sql.cursors import Cursor
from likes.sql.tables import dead_letters, incidents


class Kind(StrEnum):
    """What happened."""

    REDIS_WENT_BACK = "redis_went_back"
    REDIS_REPLACED = "redis_replaced"
    REDIS_RESTARTED = "redis_restarted"
    REDIS_FAILED_OVER = "redis_failed_over"
    REDIS_ADOPTED = "redis_adopted"
    DATABASE_ADOPTED = "database_adopted"
    SQL_WENT_BACK = "sql_went_back"
    SQL_REPLACED = "sql_replaced"
    SET_ASIDE = "set_aside"
    BATCH_MISSING = "batch_missing"
    DELTAS_MISSING = "deltas_missing"


def record(
    connection: Connection,
    namespace: str,
    kind: Kind,
    detail: str,
    *,
    now: datetime,
    exposed_from: datetime | None,
    shard: int | None = None,
    epoch: str | None = None,
    delta: int | None = None,
) -> None:
    """Write an incident: likes accepted from `exposed_from` to `now` may be lost; `delta`, if given, certainly is."""
    connection.execute(
        insert(incidents).values(
            namespace=namespace,
            shard=shard,
            epoch=epoch,
            kind=str(kind),
            at=now,
            exposed_from=exposed_from,
            exposed_to=now,
            delta=delta,
            detail=detail,
        )
    )


def is_recorded(
    connection: Connection, namespace: str, kind: Kind, shard: int, epoch: str, detail: str | None = None
) -> bool:
    """True if there was such an incident in this epoch of the shard, with this very `detail` if one is given."""
    same = select(incidents.c.id).where(
        incidents.c.namespace == namespace,
        incidents.c.kind == str(kind),
        incidents.c.shard == shard,
        incidents.c.epoch == epoch,
    )
    if detail is not None:
        same = same.where(incidents.c.detail == detail)
    return connection.execute(same.limit(1)).first() is not None


def written_off(connection: Connection, namespace: str, kind: Kind, shard: int, epoch: str) -> int:
    """What incidents of this kind have written off in this epoch of the shard."""
    deltas = select(incidents.c.delta).where(
        incidents.c.namespace == namespace,
        incidents.c.kind == str(kind),
        incidents.c.shard == shard,
        incidents.c.epoch == epoch,
        incidents.c.delta.is_not(None),
    )
    return sum(connection.scalars(deltas))  # not in SQL, where SQLite's SUM overflows


def unaccounted(connection: Connection, namespace: str, cursor: Cursor, sealed: int, in_flight: int) -> int:
    """What was sealed under the cursor's epoch and is neither applied, in flight, a dead letter nor written off yet."""
    gone = 0
    for table in (incidents, dead_letters):
        deltas = select(table.c.delta).where(
            table.c.namespace == namespace,
            table.c.shard == cursor.shard,
            table.c.epoch == cursor.epoch,
            table.c.delta.is_not(None),
        )
        gone += sum(connection.scalars(deltas))  # not in SQL, where SQLite's SUM overflows
    return sealed - cursor.applied_delta - in_flight - gone
