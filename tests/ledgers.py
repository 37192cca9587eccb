"""A ledger whose shards stand before their first batch, batches for it, and what it holds then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgpack
from sqlalchemy import Engine, insert, select

from likes.batch import FORMAT, Batch
from likes.chain import Chain
from likes.counted import Counted
from likes.sql import cursors
from likes.sql.cursors import Cursor
from likes.sql.engine import open_engine, reading, writing
from likes.sql.identity import Claim
from likes.sql.ledger import Ledger
from likes.sql.tables import batches, dead_letters, totals
from likes.sql.tables import cursors as cursor_table
from likes.sql.urls import url_of

SHARD, OTHER_SHARD = 3, 7
SEALED_AT = 1_770_000_000_123
Entry = tuple[str, int | bytes]


def batch(
    seq: int, *entries: Entry, shard: int = SHARD, epoch: str = "e", nonce: str = "", previous: str | None = None
) -> Batch:
    """Batch `seq` as Redis seals it; by default its nonce is `n<seq>`, on top of `n<seq - 1>`."""
    before = previous if previous is not None else f"n{seq - 1}" if seq > 1 else ""
    members = [f"likes:{item}".encode() for item, _ in entries]
    texts = [value if isinstance(value, bytes) else str(value) for _, value in entries]
    sealed = [FORMAT, epoch, shard, seq, nonce or f"n{seq}", before, SEALED_AT, members, texts, []]
    return Batch.unpack(msgpack.packb(sealed))


def new_ledger(engine: Engine) -> Ledger:
    """A ledger whose two shards stand before the first batch of epoch `e`."""
    ledger = Ledger(engine, "likes", "worker 1")
    ledger.claim = Claim(ledger.make_database_id(), "redis")
    ledger.begin_cursors([SHARD, OTHER_SHARD])
    with writing(engine) as connection:
        for shard in (SHARD, OTHER_SHARD):
            here = cursors.lock(connection, "likes", shard)
            cursors.move(connection, "likes", here._replace(epoch="e"), datetime.now(UTC))
    return ledger


def another_worker(ledger: Ledger, timeout: float = 10) -> Ledger:
    """A ledger of the same database with connections of its own; a transaction takes `timeout` seconds at most."""
    other = Ledger(open_engine(url_of(ledger.engine), timeout=timeout), "likes", "another")
    other.claim = ledger.claim
    return other


def another_namespace(ledger: Ledger, namespace: str) -> Ledger:
    """A ledger of another namespace of the same database, with a cursor for the shard."""
    other = Ledger(ledger.engine, namespace, "w")
    other.claim = ledger.claim
    other.begin_cursors([SHARD])
    return other


def apply_whole(ledger: Ledger, *batches: Batch) -> Counted | None:
    """Count a chain as a flush does; what it counted, None for nothing."""
    chain = Chain(batches)
    return chain.counted if ledger.apply([chain]) else None


def apply_locked(ledger: Ledger, batch: Batch) -> Counted | None:
    """Count a batch as the rules do, under the lock of its cursor; what it counted, None for nothing."""
    return ledger.locked(
        batch.id.shard, lambda shard: shard.count(batch) if batch.follows(shard.cursor.place) else None
    )


def cursor(ledger: Ledger, shard: int = SHARD) -> Cursor:
    """Where a shard stands."""
    return ledger.cursors()[shard]


def rows(ledger: Ledger, table: Any) -> list[Any]:
    """All rows of a table."""
    with reading(ledger.engine) as connection:
        return list(connection.execute(select(table)))


def all_totals(ledger: Ledger) -> dict[str, int]:
    """Item -> total."""
    return {row.item: row.total for row in rows(ledger, totals)}


def everything(ledger: Ledger) -> list[Any]:
    """What a batch may change."""
    return [rows(ledger, table) for table in (totals, cursor_table, batches, dead_letters)]


def start_total(ledger: Ledger, item: str, total: int) -> None:
    """Let an item have a total."""
    with writing(ledger.engine) as connection:
        connection.execute(insert(totals).values(counter="likes", item=item, total=total, updated_at=datetime.now(UTC)))
