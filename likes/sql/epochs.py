"""Epochs given up: nothing under them is ever counted, and what Redis had counted there is kept.

Each function works inside the caller's transaction.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from likes.sql.cursors import Cursor, move
from likes.sql.tables import retired_epochs


def retire(connection: Connection, namespace: str, cursor: Cursor, epoch: str, reason: str, now: datetime) -> Cursor:
    """Give up `epoch` for ever; returns the cursor as it is then, without an epoch if it was the current one."""
    mine = cursor.epoch == epoch
    if not is_retired(connection, namespace, cursor.shard, epoch):
        connection.execute(
            insert(retired_epochs).values(
                namespace=namespace,
                shard=cursor.shard,
                epoch=epoch,
                seq=cursor.seq if mine else 0,
                nonce=cursor.nonce if mine else "",
                applied_delta=cursor.applied_delta if mine else 0,
                retired_at=now,
                reason=reason,
            )
        )
    if not mine:
        return cursor
    cursor = cursor._replace(epoch=None, seq=0, nonce="", applied_delta=0)
    move(connection, namespace, cursor, now)
    return cursor


def is_retired(connection: Connection, namespace: str, shard: int, epoch: str) -> bool:
    """True if the epoch was given up."""
    return epoch in retired(connection, namespace, shard)


def retired(connection: Connection, namespace: str, shard: int) -> frozenset[str]:
    """All epochs of a shard that were given up."""
    mine = select(retired_epochs.c.epoch).where(
        retired_epochs.c.namespace == namespace, retired_epochs.c.shard == shard
    )
    return frozenset(connection.scalars(mine))


def close_books(connection: Connection, namespace: str, shard: int, epoch: str, accepted: int, sealed: int) -> None:
    """Keep what Redis counted under a retired epoch, before its keys are dropped."""
    connection.execute(
        update(retired_epochs)
        .where(
            retired_epochs.c.namespace == namespace,
            retired_epochs.c.shard == shard,
            retired_epochs.c.epoch == epoch,
        )
        .values(accepted=accepted, sealed=sealed)
    )
