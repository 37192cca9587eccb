"""Reading the ledger: which batches were applied."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, func, select

from likes.batch import BatchId
from likes.sql.engine import reading
from likes.sql.tables import batches


class AppliedBatch(NamedTuple):
    """A row of the ledger: a batch, what it counted, when, for how long and by whom."""

    shard: int
    epoch: str
    seq: int
    items: int
    delta: int
    sealed_at: datetime
    applied_at: datetime
    duration_ms: int
    worker: str


_ROW = select(*(batches.c[name] for name in AppliedBatch._fields))


def count_batches(engine: Engine, namespace: str) -> int:
    """How many rows the ledger has."""
    count = select(func.count()).select_from(batches).where(batches.c.namespace == namespace)
    with reading(engine) as connection:
        return connection.execute(count).scalar_one()


def deltas_counted(engine: Engine, namespace: str, batch: BatchId) -> list[int]:
    """The sum in each row with this batch's nonce, whatever its number: one row, if it was counted as it should be."""
    rows = select(batches.c.delta).where(
        batches.c.namespace == namespace, batches.c.shard == batch.shard, batches.c.nonce == batch.nonce
    )
    with reading(engine) as connection:
        return [*connection.scalars(rows)]


def newest_batches(engine: Engine, namespace: str, limit: int, shard: int | None = None) -> list[AppliedBatch]:
    """The batches applied last, newest first; those of one shard, if it is given."""
    rows = _ROW.where(batches.c.namespace == namespace)
    if shard is not None:
        rows = rows.where(batches.c.shard == shard)
    newest = rows.order_by(batches.c.applied_at.desc(), batches.c.shard, batches.c.seq.desc()).limit(limit)
    with reading(engine) as connection:
        return [AppliedBatch(*row) for row in connection.execute(newest)]
