"""Sessions that ended: each leaves a row under its hash, with the fields that were to be kept.

A row that is there stays as it is: what is recorded twice was over the first time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, and_, delete, insert, or_, select
from sqlalchemy.exc import DBAPIError

from likes.errors import DatabaseRefused
from likes.sessions.fields import from_json
from likes.sessions.session import Ended
from likes.sessions.token import Place
from likes.sql import identity
from likes.sql.dialects import dialect_of
from likes.sql.engine import reading
from likes.sql.tables import sessions
from likes.sql.transaction import transact

CHUNK = 500
NOTHING = "{}"


class Row(NamedTuple):
    """A session that ended."""

    place: Place
    user: str
    ended_at: datetime


def record(engine: Engine, namespace: str, ended: Sequence[Ended]) -> str:
    """Keep ended sessions, those whose shard belongs to this database or to none yet; returns the database's id, "" if
    it has none. Raises DatabaseUnavailable, DatabaseRefused.
    """
    try:
        return transact(engine, partial(_record, namespace=namespace, ended=ended))
    except DatabaseRefused as error:
        if not (isinstance(error.__cause__, DBAPIError) and dialect_of(engine).is_bad_data(error.__cause__)):
            raise
    # The database's encoding cannot hold the name of a user. It keeps no other from being recorded.
    written = [each._replace(user=each.user.encode("ascii", "backslashreplace").decode()) for each in ended]
    return transact(engine, partial(_record, namespace=namespace, ended=written))


def _record(connection: Connection, namespace: str, ended: Sequence[Ended]) -> str:
    database = identity.read(connection)
    ours = {each.place.digest: each for each in ended if each.owner in ("", database)}
    moved = {each.moved_to.digest for each in ours.values() if each.moved_to}
    known = _known(connection, namespace, {*ours, *moved})
    rows = [
        {
            "namespace": namespace,
            "hash": digest,
            "shard": each.place.shard,
            "username": each.user,
            "created_at": each.created_at,
            "last_seen": each.last_seen,
            "hits": each.hits,
            "ended_at": each.ended_at,
            "fields": NOTHING if each.moved_to and each.moved_to.digest in known else _json(each),
        }
        for digest, each in sorted(ours.items())
        if digest not in known
    ]
    if rows:
        connection.execute(insert(sessions), rows)
    return database


def _json(ended: Ended) -> str:
    """In ASCII, which every encoding of a database holds."""
    return json.dumps(from_json(ended.fields), separators=(",", ":"))


def _known(connection: Connection, namespace: str, digests: Collection[str]) -> set[str]:
    mine = select(sessions.c.hash).where(sessions.c.namespace == namespace, sessions.c.hash.in_(digests))
    return set(connection.scalars(mine))


def ended_since(engine: Engine, namespace: str, since: datetime, after: Row | None, most: int) -> list[Row]:
    """Sessions that ended at `since` or later, `most` of them, in order; those behind `after` if that is given."""
    row = sessions.c
    mine = select(row.shard, row.hash, row.username, row.ended_at).where(row.namespace == namespace)
    if after is None:
        mine = mine.where(row.ended_at >= since)
    else:
        same = and_(row.ended_at == after.ended_at, row.hash > after.place.digest)
        mine = mine.where(or_(row.ended_at > after.ended_at, same))
    with reading(engine) as connection:
        found = connection.execute(mine.order_by(row.ended_at, row.hash).limit(most)).all()
    return [Row(Place(shard, digest), user, ended_at) for shard, digest, user, ended_at in found]


def prune_sessions(engine: Engine, namespace: str, before: datetime, *, seconds: float) -> int:
    """Delete the rows of sessions that ended before a moment and kept nothing; returns how many.

    Stops after `seconds`.
    """
    deadline = time.monotonic() + seconds
    deleted, last = 0, CHUNK
    while last == CHUNK and time.monotonic() < deadline:
        last = transact(engine, lambda connection: _prune_chunk(connection, namespace, before))
        deleted += last
    return deleted


def _prune_chunk(connection: Connection, namespace: str, before: datetime) -> int:
    row = sessions.c
    old: Any = (
        select(row.hash)
        .where(row.namespace == namespace, row.ended_at < before, row.fields == NOTHING)
        .order_by(row.ended_at)
        .limit(CHUNK)
    )
    digests = connection.scalars(old).all()
    if digests:
        connection.execute(delete(sessions).where(row.namespace == namespace, row.hash.in_(digests)))
    return len(digests)
