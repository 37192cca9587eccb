"""Letting an operator say what belongs together: another Redis to this database, or this database to a Redis."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, Engine

from likes.sql import cursors, incidents, known_redis
from likes.sql.clock import read_clock
from likes.sql.emptied import record_emptied
from likes.sql.engine import reading
from likes.sql.exposure import Window, window_of
from likes.sql.incidents import Kind
from likes.sql.transaction import transact


def other_redis_names(engine: Engine, namespace: str, name: str) -> list[str]:
    """The names that cursors know Redis by, without `name`."""
    with reading(engine) as connection:
        known = cursors.read_all(connection, namespace).values()
    return sorted({cursor.redis_name for cursor in known} - {name})


def take_over(engine: Engine, namespace: str, name: str, before: Collection[str]) -> int:
    """Let all cursors belong to the Redis `name`, no longer to `before`, and record that; returns how many changed."""

    def work(connection: Connection) -> int:
        now = read_clock(connection)
        exposed = window_of(cursors.read_all(connection, namespace).values(), redis_now=None, sql_now=now)
        changed = known_redis.take_over(connection, namespace, name)
        if changed:
            detail = f"an operator let the database belong to {name}, no longer to {', '.join(before)}"
            incidents.record(connection, namespace, Kind.REDIS_ADOPTED, detail, at=now, exposed=exposed)
        return changed

    return transact(engine, work)


def record_new_owner(engine: Engine, namespace: str, seen: Mapping[int, str], database: str) -> None:
    """Record that an operator lets the shards that belong to those `seen` ("": to nobody) belong to this database from
    now on.
    """
    before = ", ".join(sorted({f"{owner[:8]}…" for owner in seen.values() if owner}))
    detail = f"an operator let Redis belong to this database ({database[:8]}…), no longer to {before}"

    def work(connection: Connection) -> None:
        record_emptied(connection, namespace, [shard for shard, owner in seen.items() if not owner], None)
        if before:
            now = read_clock(connection)
            incidents.record(connection, namespace, Kind.DATABASE_ADOPTED, detail, at=now, exposed=Window(None, now))

    transact(engine, work)
