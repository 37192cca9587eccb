"""Which Redis the database belongs to, as the cursors know it: its name, and the server that answers under it.

Each function but `require_redis` works inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, update

from likes.errors import WrongRedis
from likes.sql.cursors import Cursor, lock_all, read_all
from likes.sql.tables import cursors


class Noted(NamedTuple):
    """What was noted: the cursors that changed, as they were; `is_first`: no shard knew that process before."""

    changed: list[Cursor]
    is_first: bool


def require_redis(cursor: Cursor, redis_name: str, *former: str) -> None:
    """Raise WrongRedis unless the cursor belongs to the Redis of this name, or of one of its `former` names."""
    if cursor.redis_name not in (redis_name, *former):
        raise WrongRedis(
            f"this database belongs to the Redis {cursor.redis_name}, not to {redis_name}; if they are the same, or it "
            "moved, accept it with: likes adopt (a name that is to stay can be set: LIKES_REDIS_NAME)"
        )


def take_over(connection: Connection, namespace: str, redis_name: str) -> int:
    """Make all cursors belong to another Redis; returns how many changed."""
    lock_all(connection, namespace)
    return connection.execute(
        update(cursors)
        .where(cursors.c.namespace == namespace, cursors.c.redis_name != redis_name)
        .values(redis_name=redis_name)
    ).rowcount


def rename_redis(connection: Connection, namespace: str, former: Collection[str], redis_name: str) -> None:
    """Make those cursors that belong to a Redis of a `former` name belong to `redis_name`."""
    lock_all(connection, namespace)
    connection.execute(
        update(cursors)
        .where(cursors.c.namespace == namespace, cursors.c.redis_name.in_(former))
        .values(redis_name=redis_name)
    )


def note_server(
    connection: Connection, namespace: str, read: Collection[Cursor], *, replid: str, run_id: str, durable: int
) -> Noted:
    """Remember which server answers for these shards now, unless somebody else noted it since they were read."""
    lock_all(connection, namespace)
    stand = read_all(connection, namespace)
    known = {cursor.shard: (cursor.replid, cursor.run_id, cursor.durable) for cursor in read}
    there = {shard: (cursor.replid, cursor.run_id, cursor.durable) for shard, cursor in stand.items()}
    others = [s for s, server in known.items() if there.get(s) == server != (replid, run_id, durable)]
    connection.execute(
        update(cursors)
        .where(cursors.c.namespace == namespace, cursors.c.shard.in_(others))
        .values(replid=replid, run_id=run_id, durable=durable)
    )
    is_first = all(cursor.run_id != run_id for cursor in stand.values())
    return Noted([stand[shard] for shard in others], is_first)
