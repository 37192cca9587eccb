"""What went wrong, read for people: incidents and dead letters, for `status` and for the worker's log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Table, func, select

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
    """Where all shards stand, how many incidents and dead letters are open, and the newest of those incidents."""

    cursors: Mapping[int, Cursor]
    incidents: int
    dead_letters: int
    newest_incidents: Sequence[Incident]


class Open(NamedTuple):
    """How many wait for somebody to decide."""

    incidents: int
    dead_letters: int


def read_overview(engine: Engine, namespace: str, most: int) -> Overview:
    """All of it, with at most `most` incidents, the newest first."""
    newest = _INCIDENT.where(*_open(incidents, namespace)).order_by(incidents.c.id.desc()).limit(most)
    with reading(engine) as connection:
        return Overview(
            cursors=cursors.read_all(connection, namespace),
            **_count_open(connection, namespace)._asdict(),
            newest_incidents=[Incident(*row) for row in connection.execute(newest)],
        )


def count_open(engine: Engine, namespace: str) -> Open:
    """What is open."""
    with reading(engine) as connection:
        return _count_open(connection, namespace)


def count_incidents(engine: Engine, namespace: str) -> dict[str, int]:
    """Kind -> how many were recorded so far, of those that were."""
    kinds = select(incidents.c.kind, func.count()).where(incidents.c.namespace == namespace).group_by(incidents.c.kind)
    with reading(engine) as connection:
        return dict(connection.execute(kinds).all())


def _count_open(connection: Connection, namespace: str) -> Open:
    counts = (
        select(func.count()).select_from(table).where(*_open(table, namespace)) for table in (incidents, dead_letters)
    )
    return Open(*(connection.execute(count).scalar_one() for count in counts))


def _open(table: Table, namespace: str) -> tuple[ColumnElement[bool], ...]:
    return table.c.namespace == namespace, table.c.resolved_at.is_(None)


def last_incident(engine: Engine, namespace: str) -> int:
    """The id of the incident recorded last, 0 if there was none."""
    with reading(engine) as connection:
        return connection.scalar(select(func.max(incidents.c.id)).where(incidents.c.namespace == namespace)) or 0


def open_incidents_since(engine: Engine, namespace: str, since: datetime, most: int) -> list[Incident]:
    """The first `most` of those recorded since then that nobody has seen to, the oldest first."""
    recent = _INCIDENT.where(*_open(incidents, namespace), incidents.c.at >= since).order_by(incidents.c.id).limit(most)
    with reading(engine) as connection:
        return [Incident(*row) for row in connection.execute(recent)]


def incidents_after(engine: Engine, namespace: str, last: int) -> list[Incident]:
    """The incidents recorded after the one with the id `last`, the oldest first."""
    later = _INCIDENT.where(incidents.c.namespace == namespace, incidents.c.id > last).order_by(incidents.c.id)
    with reading(engine) as connection:
        return [Incident(*row) for row in connection.execute(later)]
