"""Counting batches: their cursors, the totals and their ledger rows move in one transaction, or none of them does."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import DBAPIError

from likes.batch import Batch, BatchId
from likes.deltas import MAX_DELTA, MIN_DELTA, Deltas
from likes.sql import cursors, dead_letters
from likes.sql.cursors import Cursor
from likes.sql.dialects import dialect_of
from likes.sql.engine import reading
from likes.sql.moves import Chain, by_shard, delta_of, is_linked, move_cursors
from likes.sql.tables import batches
from likes.sql.tables import dead_letters as dead_letter_table
from likes.sql.transaction import transact

_RECORD = insert(batches)
LONGEST_PAYLOAD = 2**22  # 5,000 entries of ours stay below; MariaDB takes 16 MiB a packet


class Applied(NamedTuple):
    """What a batch did: entries counted, their sum, entries set aside."""

    items: int
    delta: int
    dead_letters: int


class _NotAll(Exception):
    """Not every batch is the next of its shard."""


class Ledger:
    """The SQL side of one namespace. `worker` is written into the rows of the batches it applies."""

    def __init__(self, engine: Engine, namespace: str, worker: str) -> None:
        self.engine = engine
        self.namespace = namespace
        self.worker = worker

    def cursors(self) -> dict[int, Cursor]:
        """The cursors of all shards that have one."""
        with reading(self.engine) as connection:
            return cursors.read_all(connection, self.namespace)

    def shard(self, shard: int) -> tuple[Cursor, frozenset[str]]:
        """The cursor of one shard, and its retired epochs."""
        with reading(self.engine) as connection:
            return (
                cursors.read_all(connection, self.namespace)[shard],
                cursors.retired(connection, self.namespace, shard),
            )

    def claim(self, shards: Collection[int], redis_name: str) -> None:
        """Give shards their first cursor; those that have one keep it."""
        now = datetime.now(UTC)
        transact(self.engine, lambda connection: cursors.claim(connection, self.namespace, shards, redis_name, now))

    def apply_all(self, following: Sequence[Batch]) -> list[Applied] | None:
        """Count batches of several shards in one transaction, those of one shard in their order. None, and nothing
        done, unless each is the next of its shard and the database takes every entry. It is tried once, as each may be
        tried alone afterwards.
        """
        deltas = Deltas.joined(batch.deltas for batch in following)
        chains = by_shard(following)
        sums = [*(batch.delta for batch in following), *map(delta_of, chains), *deltas.numbers]
        if (
            any(batch.misfits for batch in following)
            or not all(map(is_linked, chains))
            or clamped(min(sums)) > min(sums)
            or clamped(max(sums)) < max(sums)
        ):
            return None
        began = datetime.now(UTC)
        try:
            transact(self.engine, lambda connection: self._count_all(connection, chains, deltas, began), attempts=1)
        except DBAPIError as error:
            if not dialect_of(self.engine).is_bad_data(error):
                raise
            return None
        except _NotAll:
            return None
        return [*map(_whole, following)]

    def _count_all(self, connection: Connection, chains: Sequence[Chain], deltas: Deltas, began: datetime) -> None:
        now = datetime.now(UTC)
        if not move_cursors(connection, self.namespace, chains, now):
            raise _NotAll
        if deltas:
            dialect_of(connection).add_to_totals(connection, deltas, now)
        self._record(connection, [(batch, _whole(batch)) for chain in chains for batch in chain], began)

    def apply(self, batch: Batch) -> Applied | None:
        """Count the batch, setting aside the entries that the database refuses; None, and nothing done, if it is not
        the next of its shard.
        """
        began = datetime.now(UTC)
        return transact(self.engine, lambda connection: self._count_if_next(connection, batch, began))

    def _count_if_next(self, connection: Connection, batch: Batch, began: datetime) -> Applied | None:
        cursor = cursors.lock(connection, self.namespace, batch.shard)
        return self.count_next(connection, batch, cursor, began) if follows(batch, cursor) else None

    def count_next(self, connection: Connection, batch: Batch, cursor: Cursor, began: datetime) -> Applied:
        """Count a batch that follows its locked cursor, setting aside the entries that the database refuses."""
        now = datetime.now(UTC)
        refused = dead_letters.add_or_refuse(connection, Deltas.joined([batch.deltas]), now)
        letters = [*dead_letters.misfits_of(batch), *refused]
        dead = {(letter.counter, letter.item) for letter in refused}
        counted = [delta for delta in batch.deltas if (delta.counter, delta.item) not in dead]
        applied = Applied(len(counted), clamped(sum(delta.delta for delta in counted)), len(letters))
        there = cursor._replace(
            seq=batch.id.seq, nonce=batch.id.nonce, applied_delta=clamped(cursor.applied_delta + applied.delta)
        )
        cursors.move(connection, self.namespace, there, now)
        dead_letters.write(connection, self.namespace, batch, letters, now)
        self._record(connection, [(batch, applied)], began)
        return applied

    def _record(self, connection: Connection, counted: Iterable[tuple[Batch, Applied]], began: datetime) -> None:
        now = datetime.now(UTC)
        rows = [
            {
                "namespace": self.namespace,
                "shard": batch.shard,
                "epoch": batch.id.epoch,
                "seq": batch.id.seq,
                "nonce": batch.id.nonce,
                "items": applied.items,
                "delta": applied.delta,
                "sealed_at": batch.sealed_at,
                "applied_at": now,
                "duration_ms": max(0, round((now - began).total_seconds() * 1000)),
                "worker": self.worker,
                "payload": batch.payload if len(batch.payload) <= LONGEST_PAYLOAD else None,
            }
            for batch, applied in counted
        ]
        connection.execute(_RECORD, rows)


def follows(batch: Batch, cursor: Cursor) -> bool:
    """True if the batch is the next on the chain of the cursor's epoch."""
    here = (cursor.epoch, cursor.seq, cursor.nonce)
    return here == (batch.id.epoch, batch.id.seq - 1, batch.previous)


def _whole(batch: Batch) -> Applied:
    return Applied(len(batch.deltas), batch.delta, 0)


def is_recorded(connection: Connection, namespace: str, shard: int, batch: BatchId) -> bool:
    """True if this very batch is in the ledger or was set aside as dead letters."""
    for table in (batches, dead_letter_table):
        same = select(table.c.seq).where(
            table.c.namespace == namespace,
            table.c.shard == shard,
            table.c.epoch == batch.epoch,
            table.c.seq == batch.seq,
            table.c.nonce == batch.nonce,
        )
        if connection.execute(same.limit(1)).first():
            return True
    return False


def clamped(delta: int) -> int:
    """`delta`, held within 64 bits: a sum that left them is no longer exact, but must not stop the flush."""
    return max(MIN_DELTA, min(MAX_DELTA, delta))
