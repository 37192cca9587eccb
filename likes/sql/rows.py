"""Rows of the ledger: one for each batch that was counted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select

from likes.batch import Batch, BatchId
from likes.counted import Counted
from likes.sql.tables import batches, dead_letters

_INSERT = insert(batches)
LONGEST_PAYLOAD = 2**22  # 5,000 entries of ours stay below; MariaDB takes 16 MiB a packet


def write_rows(
    connection: Connection, namespace: str, worker: str, counted: Iterable[tuple[Batch, Counted]], began: datetime
) -> None:
    """Write down what was counted of batches in the transaction that `began` then."""
    now = datetime.now(UTC)
    rows = [
        {
            "namespace": namespace,
            **batch.id._asdict(),
            "items": done.items,
            "delta": done.delta,
            "sealed_at": batch.sealed_at,
            "applied_at": now,
            "duration_ms": max(0, round((now - began).total_seconds() * 1000)),
            "worker": worker,
            "payload": batch.payload if len(batch.payload) <= LONGEST_PAYLOAD else None,
        }
        for batch, done in counted
    ]
    connection.execute(_INSERT, rows)


def is_recorded(connection: Connection, namespace: str, batch: BatchId) -> bool:
    """True if this very batch is in the ledger or was set aside as dead letters."""
    for table in (batches, dead_letters):
        same = select(table.c.seq).where(
            table.c.namespace == namespace,
            table.c.shard == batch.shard,
            table.c.epoch == batch.epoch,
            table.c.seq == batch.seq,
            table.c.nonce == batch.nonce,
        )
        if connection.execute(same.limit(1)).first():
            return True
    return False


def was_set_aside(connection: Connection, namespace: str, shard: int, epoch: str, seq: int) -> bool:
    """True if a batch of this number was set aside, whatever was in it."""
    same = select(dead_letters.c.id).where(
        dead_letters.c.namespace == namespace,
        dead_letters.c.shard == shard,
        dead_letters.c.epoch == epoch,
        dead_letters.c.seq == seq,
    )
    return connection.execute(same.limit(1)).first() is not None
