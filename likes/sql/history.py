"""Reading the ledger: which batches were applied."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, select

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


def newest_batches(engine: Engine, namespace: str, limit: int, shard: int | None = None) -> list[AppliedBatch]:
    """The batches applied last, newest first; those of one shard, if it is given."""
    rows = _ROW.where(batches.c.namespace == namespace)
    if shard is not None:
        rows = rows.where(batches.c.shard == shard)
    newest = rows.order_by(batches.c.applied_at.desc(), batches.c.shard, batches.c.seq.desc()).limit(limit)
    with reading(engine) as connection:
        return [AppliedBatch(*row) for row in connection.execute(newest)]
