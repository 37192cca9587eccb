"""Cursors in SQL: which epoch of a shard is current, and how far it was applied.

Each function works inside the caller's transaction. `move` needs the cursor locked by `lock` first.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, insert, select, update

from likes.batch import Place
from likes.errors import LikesError
from likes.sql import generations
from likes.sql.tables import cursors


class Cursor(NamedTuple):
    """Where a shard stands in SQL: `epoch` is None when none is current, `nonce` is "" before the first batch.

    durable: 1 if the server `run_id` writes to disk before it answers.
    covered_to: the moment, by Redis's clock, before which all that was accepted is in SQL; None before the first flush
        that was complete. covered_at: the same moment by SQL's clock. covered_by: when the last flush that was complete
        was over, by Redis's.
    forgot: which proof that Redis forgot likes was told last.
    generation: of cached totals; see `generations`.
    """

    shard: int
    epoch: str | None
    seq: int
    nonce: str
    applied_delta: int
    redis_name: str
    replid: str
    run_id: str
    updated_at: datetime
    durable: int = 0
    covered_to: datetime | None = None
    covered_at: datetime | None = None
    covered_by: datetime | None = None
    forgot: int = 0
    generation: int = 0

    @property
    def place(self) -> Place:
        """How far the shard's chain was counted."""
        return Place(self.epoch, self.seq, self.nonce)


_COLUMNS = tuple(cursors.c[name] for name in Cursor._fields)


def read_all(connection: Connection, namespace: str) -> dict[int, Cursor]:
    """The cursors of all shards that have one."""
    rows = connection.execute(select(*_COLUMNS).where(cursors.c.namespace == namespace))
    return {row.shard: Cursor(*row) for row in rows}


def read_one(connection: Connection, namespace: str, shard: int, *, locked: bool = False) -> Cursor:
    """The cursor of one shard; raises LikesError if it is gone."""
    one = select(*_COLUMNS).where(cursors.c.namespace == namespace, cursors.c.shard == shard)
    row = connection.execute(one.with_for_update() if locked else one).one_or_none()
    if row is None:
        raise LikesError(f"shard {shard} has lost its cursor: the database was restored; the next flush begins anew")
    return Cursor(*row)


def lock(connection: Connection, namespace: str, shard: int) -> Cursor:
    """The same, locked until the transaction ends."""
    return read_one(connection, namespace, shard, locked=True)


def lock_all(connection: Connection, namespace: str) -> None:
    """Lock the cursors of all shards, in the order in which a flush locks those of some."""
    connection.execute(
        select(cursors.c.shard).where(cursors.c.namespace == namespace).order_by(cursors.c.shard).with_for_update()
    ).all()


def begin(connection: Connection, namespace: str, shards: Collection[int], redis_name: str, now: datetime) -> None:
    """Give shards their first cursor, without an epoch yet; those that have one keep it."""
    there = set(connection.scalars(select(cursors.c.shard).where(cursors.c.namespace == namespace)))
    rows = [
        {
            "namespace": namespace,
            "shard": shard,
            "epoch": None,
            "seq": 0,
            "nonce": "",
            "applied_delta": 0,
            "redis_name": redis_name,
            "replid": "",
            "run_id": "",
            "updated_at": now,
        }
        for shard in sorted(set(shards) - there)
    ]
    if not rows:
        return
    if not there and connection.scalar(select(cursors.c.shard).limit(1)) is not None:
        generations.renew_all(connection)  # from now on another namespace adds to the same totals
    connection.execute(insert(cursors), rows)


def move(connection: Connection, namespace: str, cursor: Cursor, now: datetime) -> None:
    """Set the shard's cursor to where `cursor` says."""
    connection.execute(
        update(cursors)
        .where(cursors.c.namespace == namespace, cursors.c.shard == cursor.shard)
        .values(
            epoch=cursor.epoch,
            seq=cursor.seq,
            nonce=cursor.nonce,
            applied_delta=cursor.applied_delta,
            forgot=cursor.forgot,
            generation=cursor.generation,
            updated_at=now,
        )
    )
