"""What went wrong, read for people: incidents and dead letters, for `status` and for the worker's log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, func, select

from likes.sql import cursors
from likes.sql.cursors import Cursor
from likes.sql.engine import reading
from likes.sql.tables import dead_letters, incidents


class Incident(NamedTuple):
    """What happened, and between which moments accepted likes may have been lost; `delta`, if known, certainly was."""

    id: int
    kind: str
    shard: int | None
    at: datetime
    exposed_from: datetime | None
    exposed_to: datetime | None
    delta: int | None
    detail: str


_INCIDENT = select(*(incidents.c[name] for name in Incident._fields))


class Overview(NamedTuple):
    """Where all shards stand, how many incidents there were, the newest of them, and how many dead letters wait."""

    cursors: Mapping[int, Cursor]
    incidents: int
    dead_letters: int
    newest_incidents: Sequence[Incident]


def read_overview(engine: Engine, namespace: str, most: int) -> Overview:
    """All of it, with at most `most` incidents, the newest first."""
    of_namespace = incidents.c.namespace == namespace
    count = select(func.count()).select_from(incidents).where(of_namespace)
    newest = _INCIDENT.where(of_namespace).order_by(incidents.c.id.desc()).limit(most)
    unresolved = (
        select(func.count())
        .select_from(dead_letters)
        .where(dead_letters.c.namespace == namespace, dead_letters.c.resolved_at.is_(None))
    )
    with reading(engine) as connection:
        return Overview(
            cursors=cursors.read_all(connection, namespace),
            incidents=connection.execute(count).scalar_one(),
            dead_letters=connection.execute(unresolved).scalar_one(),
            newest_incidents=[Incident(*row) for row in connection.execute(newest)],
        )


def last_incident(engine: Engine, namespace: str) -> int:
    """The id of the incident recorded last, 0 if there was none."""
    with reading(engine) as connection:
        return connection.scalar(select(func.max(incidents.c.id)).where(incidents.c.namespace == namespace)) or 0


def incidents_after(engine: Engine, namespace: str, last: int) -> list[Incident]:
    """The incidents recorded after the one with the id `last`, the oldest first."""
    later = _INCIDENT.where(incidents.c.namespace == namespace, incidents.c.id > last).order_by(incidents.c.id)
    with reading(engine) as connection:
        return [Incident(*row) for row in connection.execute(later)]
