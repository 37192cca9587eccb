"""What piles up and is worth nothing after a while: silent producers in Redis, old rows of the ledger in SQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby

from sqlalchemy import Connection, delete, exists, select

from likes.buffer.buffer import BATCHES_IN_A_ROW
from likes.buffer.keys import EpochKeys, epoch_keys, shard_keys
from likes.buffer.links.link import Link, ask
from likes.buffer.scripts import command, prune_producers
from likes.posting.producer import MEMORY_SECONDS
from likes.sql.ledger import Ledger
from likes.sql.tables import batches
from likes.sql.transaction import transact
from worker import events

EVERY_SECONDS = 600.0
CHUNK = 1000
LEDGER_SECONDS = 5.0  # for deleting at a time: flushes must not wait for long


class Housekeeping:
    """Prunes now and then. `retention_days`: how long rows of the ledger are kept."""

    def __init__(
        self, link: Link, ledger: Ledger, retention_days: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._link = link
        self._ledger = ledger
        self._retention = timedelta(days=retention_days)
        self._clock = clock
        self._next = clock()

    def tidy(self, shards: Collection[int]) -> None:
        """Prune, unless that was done lately. Raises Unavailable."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + EVERY_SECONDS
        producers = forget_producers(self._link, self._ledger.namespace, shards)
        rows = prune_ledger(self._ledger, datetime.now(UTC) - self._retention)
        if producers or rows:
            events.pruned(producers=producers, batches=rows)


def forget_producers(link: Link, prefix: str, shards: Collection[int], *, age: float = MEMORY_SECONDS) -> int:
    """Forget producers that have been silent for `age` seconds; how many."""
    epochs = ask(link, [command("GET", shard_keys(prefix, shard).epoch) for shard in shards])
    forgotten = 0
    for shard, epoch in zip(shards, epochs, strict=True):
        if epoch:
            keys = epoch_keys(prefix, shard, epoch.decode())
            for producers in _producers(link, keys):
                forgotten += sum(ask(link, [prune_producers(keys, age=int(age * 1000), producers=producers)]))
    return forgotten


def _producers(link: Link, keys: EpochKeys) -> Iterator[list[bytes]]:
    cursor = b"0"
    while True:
        ((cursor, found),) = ask(link, [command("HSCAN", keys.producers, cursor, "COUNT", CHUNK)])
        names = found[::2]
        yield from (names[i : i + CHUNK] for i in range(0, len(names), CHUNK))
        if cursor == b"0":
            return


def prune_ledger(ledger: Ledger, before: datetime, *, seconds: float = LEDGER_SECONDS) -> int:
    """Delete rows applied before a moment, how many; but never those of an epoch that may still be in flight.

    Stops after `seconds`.
    """
    deadline = time.monotonic() + seconds
    deleted, last = 0, CHUNK
    while last == CHUNK and time.monotonic() < deadline:
        last = transact(ledger.engine, lambda connection: _prune_chunk(connection, ledger.namespace, before))
        deleted += last
    return deleted


def _prune_chunk(connection: Connection, namespace: str, before: datetime) -> int:
    newer = batches.alias()
    row, later = batches.c, newer.c
    old = (
        select(row.shard, row.epoch, row.seq)
        .where(
            row.namespace == namespace,
            row.applied_at < before,
            exists().where(
                later.namespace == namespace,
                later.shard == row.shard,
                later.epoch == row.epoch,
                later.seq >= row.seq + BATCHES_IN_A_ROW,
            ),
        )
        .order_by(row.applied_at)
        .limit(CHUNK)
    )
    found = sorted(connection.execute(old))
    for (shard, epoch), rows in groupby(found, key=lambda found: found[:2]):
        numbers = [seq for _, _, seq in rows]
        connection.execute(
            delete(batches).where(
                row.namespace == namespace, row.shard == shard, row.epoch == epoch, row.seq.in_(numbers)
            )
        )
    return len(found)
