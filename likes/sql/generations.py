"""Generations of cached totals: a shard gets a new one where its totals change otherwise than by a batch of it.

They grow with the clock, so that after a restored database a new one is above those it had given before.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from sqlalchemy import Connection, case, select, update

from likes.sql.tables import cursors


def renewed(generation: int) -> int:
    """A generation above this one."""
    return max(generation + 1, time.time_ns() // 1_000_000)


def lock_all(connection: Connection) -> None:
    """Lock the cursors of all shards: first, as whoever applies a batch locks cursors before totals."""
    connection.execute(select(cursors.c.shard).order_by(cursors.c.namespace, cursors.c.shard).with_for_update()).all()


def renew_all(connection: Connection) -> None:
    """Give every shard, of every namespace, a new one: nobody knows which shards an item is in elsewhere."""
    now = renewed(0)
    generation = cursors.c.generation
    connection.execute(update(cursors).values(generation=case((generation < now, now), else_=generation + 1)))


def renew(connection: Connection, namespace: str, shards: Collection[int], above: int) -> None:
    """Give these shards a new one, above that which Redis knows."""
    mine = (cursors.c.namespace == namespace, cursors.c.shard.in_(shards), cursors.c.generation <= above)
    connection.execute(update(cursors).where(*mine).values(generation=renewed(above)))
