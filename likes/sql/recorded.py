"""Incidents as they stand: listed, and resolved once, with who and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.exc import DBAPIError

from likes.errors import InvalidInput, LikesError
from likes.sql.decision import Decision, decided
from likes.sql.engine import reading
from likes.sql.tables import incidents
from likes.sql.transaction import transact

INCIDENTS_A_PAGE = 1000


class Recorded(NamedTuple):
    """An incident, and what became of it; `exposed_from` to `exposed_to`: likes accepted then may be lost."""

    id: int
    kind: str
    shard: int | None
    epoch: str | None
    at: datetime
    exposed_from: datetime | None
    exposed_to: datetime | None
    delta: int | None
    detail: str
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None


class Resolved(NamedTuple):
    """An incident as it was found, which is resolved now. `changed`: it was not before."""

    incident: Recorded
    changed: bool
    words: str


_INCIDENT = select(*(incidents.c[name] for name in Recorded._fields)).order_by(incidents.c.id)


def recorded(engine: Engine, namespace: str, *, resolved: bool) -> Iterator[Recorded]:
    """The open ones, and if asked for the `resolved` too, the oldest first."""
    query, last = _INCIDENT.where(incidents.c.namespace == namespace).limit(INCIDENTS_A_PAGE), 0
    if not resolved:
        query = query.where(incidents.c.resolved_at.is_(None))
    while True:
        with reading(engine) as connection:
            page = [Recorded._make(row) for row in connection.execute(query.where(incidents.c.id > last))]
        yield from page
        if not page:
            return
        last = page[-1].id


def resolve(engine: Engine, namespace: str, ids: Sequence[int], decision: Decision) -> Iterator[Resolved]:
    """Say that somebody has seen to these incidents; those that are resolved stay as they are.

    Raises InvalidInput for one that is not there.
    """
    try:
        for first in range(0, len(ids), INCIDENTS_A_PAGE):
            some = ids[first : first + INCIDENTS_A_PAGE]
            yield from transact(engine, partial(_resolve, namespace=namespace, ids=some, decision=decision))
    except DBAPIError as error:
        said = str(error.orig).splitlines()[0][:200]
        raise LikesError(f"the database does not take the note or the name: {said}") from error


def _resolve(connection: Connection, namespace: str, ids: Sequence[int], decision: Decision) -> list[Resolved]:
    mine = incidents.c.namespace == namespace
    found = connection.execute(_INCIDENT.where(mine, incidents.c.id.in_(ids)).with_for_update()).all()
    if missing := sorted({*ids} - {row.id for row in found}):
        raise InvalidInput(
            f"there is no incident {', '.join(map(str, missing))} under the prefix {namespace};"
            " those there are: likes incidents list --all"
        )
    still_open = [row.id for row in found if row.resolved_at is None]
    if still_open and not decision.dry_run:
        values = {"resolved_at": decision.at, "resolved_by": decision.by, "resolution": decision.words("resolved")}
        connection.execute(update(incidents).where(incidents.c.id.in_(still_open)).values(**values))
    return [_resolved(Recorded._make(row), decision) for row in found]


def _resolved(incident: Recorded, decision: Decision) -> Resolved:
    if incident.resolved_at is None or decision.made(incident.resolved_at, incident.resolved_by):
        return Resolved(incident, changed=True, words=decision.words("resolved"))
    return Resolved(incident, changed=False, words=f"already {decided(*incident[-3:])}")
