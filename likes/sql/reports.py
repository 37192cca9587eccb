"""What went wrong, read for people: incidents and dead letters, for `status` and for the worker's log."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from likes.sql.tables import dead_letters, incidents


class Incident(NamedTuple):
    """What happened, and between which moments accepted likes may have been lost; `delta` certainly was."""

    id: int
    kind: str
    shard: int | None
    at: datetime
    exposed_from: datetime | None
    exposed_to: datetime | None
    delta: int | None
    detail: str


_INCIDENT = select(*(incidents.c[name] for name in Incident._fields))


def newest_incidents(connection: Connection, namespace: str, most: int) -> list[Incident]:
    """The newest incidents, the newest first."""
    newest = _INCIDENT.where(incidents.c.namespace == namespace).order_by(incidents.c.id.desc()).limit(most)
    return [Incident(*row) for row in connection.execute(newest)]


def incidents_after(connection: Connection, namespace: str, last: int) -> list[Incident]:
    """The incidents recorded after the one with the id `last`, the oldest first."""
    later = _INCIDENT.where(incidents.c.namespace == namespace, incidents.c.id > last).order_by(incidents.c.id)
    return [Incident(*row) for row in connection.execute(later)]


def count_incidents(connection: Connection, namespace: str) -> int:
    """How many incidents were recorded."""
    mine = select(func.count()).select_from(incidents).where(incidents.c.namespace == namespace)
    return connection.execute(mine).scalar_one()


def count_dead_letters(connection: Connection, namespace: str) -> int:
    """How many dead letters nobody has resolved yet."""
    mine = (
        select(func.count())
        .select_from(dead_letters)
        .where(dead_letters.c.namespace == namespace, dead_letters.c.resolved_at.is_(None))
    )
    return connection.execute(mine).scalar_one()
