"""What a flush does when a shard is not as it left it: Redis or SQL went back, was emptied, replaced or restored.

Every change here is one SQL transaction that locks the shard's cursor, then asks the master anew, over a fresh
connection and with a write, where the shard stands; so no replica, no demoted master and no other worker can mislead
it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import Connection

from likes.batch import Batch, BatchId
from likes.buffer.buffer import Buffer, Server
from likes.buffer.scripts import Confirmed
from likes.sql import cursors, dead_letters, incidents
from likes.sql.cursors import Cursor
from likes.sql.incidents import Kind
from likes.sql.ledger import Applied, Ledger, is_recorded
from likes.sql.transaction import transact
from worker.decisions import Verdict, judge, went_back


class Recovery:
    """Brings a shard's cursor and its Redis back into agreement."""

    def __init__(self, buffer: Buffer, ledger: Ledger) -> None:
        self.buffer = buffer
        self.ledger = ledger
        self.namespace = ledger.namespace

    def settle(self, batch: Batch) -> tuple[Verdict, Applied | None]:
        """Do what the rules say with a batch that did not follow its cursor; the verdict, and what was counted."""
        return transact(self.ledger.engine, lambda connection: self._settle(connection, batch))

    def _settle(self, connection: Connection, batch: Batch) -> tuple[Verdict, Applied | None]:
        now = datetime.now(UTC)
        epoch = batch.id.epoch
        cursor = cursors.lock(connection, self.namespace, batch.shard)
        recorded = is_recorded(connection, self.namespace, batch.shard, batch.id)
        retired = cursors.is_retired(connection, self.namespace, batch.shard, epoch)
        redis = self.buffer.confirm(batch.shard, epoch)
        verdict = judge(batch, cursor, recorded=recorded, retired=retired, redis=redis)
        if verdict is Verdict.ADOPT:
            cursor = self._adopt(connection, cursor, epoch, redis, now)
            verdict = judge(batch, cursor, recorded=recorded, retired=retired, redis=redis)
        if verdict is Verdict.SQL_WENT_BACK:
            cursor = self._skip_what_is_gone(connection, cursor, batch, redis, now)
            verdict = Verdict.NEXT
        if verdict is Verdict.NEXT:
            return verdict, self.ledger.count_next(connection, batch, cursor, now)
        if verdict is Verdict.SUSPECT:
            self._set_aside(connection, cursor, batch, now)
        return verdict, None

    def retire(self, shard: int, epoch: str) -> None:
        """Give up an epoch whose Redis went back, or one left behind that SQL has never seen."""

        def work(connection: Connection) -> None:
            now = datetime.now(UTC)
            cursor = cursors.lock(connection, self.namespace, shard)
            redis = self.buffer.confirm(shard, epoch)
            if cursor.epoch != epoch:
                if redis.current != epoch:
                    cursors.retire(connection, self.namespace, cursor, epoch, "left behind", now)
                return
            if not went_back(redis, cursor):
                return
            cursors.retire(connection, self.namespace, cursor, epoch, "Redis went back", now)
            detail = f"Redis stands at batch {redis.seq}, the database at {cursor.seq}; the epoch was given up"
            self._record(connection, Kind.REDIS_WENT_BACK, detail, cursor, epoch, now)

        transact(self.ledger.engine, work)

    def adopt(self, read: Cursor, epoch: str) -> None:
        """Make the epoch Redis points at the shard's current one, if the cursor is still where it was read."""

        def work(connection: Connection) -> None:
            now = datetime.now(UTC)
            cursor = cursors.lock(connection, self.namespace, read.shard)
            retired = cursors.is_retired(connection, self.namespace, read.shard, epoch)
            if cursor.epoch != read.epoch or retired:
                return
            redis = self.buffer.confirm(read.shard, epoch)
            if redis.current == epoch:
                self._adopt(connection, cursor, epoch, redis, now)

        transact(self.ledger.engine, work)

    def drop(self, shard: int, epoch: str) -> None:
        """Keep the sums of a retired epoch, then forget its keys."""
        redis = self.buffer.confirm(shard, epoch)
        transact(
            self.ledger.engine,
            lambda connection: cursors.close_books(
                connection, self.namespace, shard, epoch, redis.accepted, redis.sealed
            ),
        )
        self.buffer.drop_epoch(shard, epoch)

    def give_up_missing(self, shard: int, batch: BatchId) -> None:
        """Deal with a batch listed in flight whose content is gone: what it held is lost, its epoch cannot go on."""

        def work(connection: Connection) -> None:
            now = datetime.now(UTC)
            cursor = cursors.lock(connection, self.namespace, shard)
            redis = self.buffer.confirm(shard, batch.epoch)
            if (batch.seq, batch.nonce) not in redis.in_flight:
                return
            if is_recorded(connection, self.namespace, shard, batch):
                return
            cursors.retire(connection, self.namespace, cursor, batch.epoch, "a batch is missing", now)
            detail = f"batch {batch.seq} was in flight, but Redis no longer has it (evicted or deleted?)"
            self._record(connection, Kind.BATCH_MISSING, detail, cursor, batch.epoch, now)

        transact(self.ledger.engine, work)

    def note_server(self, known: Collection[Cursor], server: Server) -> None:
        """Record one incident when another server, or the same after a restart, answers now."""
        others = [cursor for cursor in known if (cursor.run_id, cursor.replid) != (server.run_id, server.replid)]
        if not others:
            return
        # A replication id alone also changes when a first replica joins.
        lost_memory = [cursor for cursor in others if cursor.run_id not in ("", server.run_id)]
        failed_over = server.replid_before in {cursor.replid for cursor in lost_memory}

        def work(connection: Connection) -> None:
            if cursors.note_server(connection, self.namespace, server.replid, server.run_id) and lost_memory:
                kind = Kind.REDIS_FAILED_OVER if failed_over else Kind.REDIS_RESTARTED
                what = "a replica was promoted" if failed_over else "Redis was restarted or replaced"
                detail = f"{what}: increments it had not copied or written to disk are lost without a trace"
                since = min(cursor.updated_at for cursor in lost_memory)
                incidents.record(connection, self.namespace, kind, detail, now=datetime.now(UTC), exposed_from=since)

        transact(self.ledger.engine, work)

    def _adopt(self, connection: Connection, cursor: Cursor, epoch: str, redis: Confirmed, now: datetime) -> Cursor:
        before = cursor
        if cursor.epoch:
            cursor = cursors.retire(connection, self.namespace, cursor, cursor.epoch, "Redis was replaced", now)
        cursor = cursor._replace(epoch=epoch, seq=0, nonce="", applied_delta=0)
        cursors.move(connection, self.namespace, cursor, now)
        if before.epoch or redis.seq:
            detail = "Redis was emptied or replaced" if before.epoch else "Redis has a history this database does not"
            self._record(connection, Kind.REDIS_REPLACED, detail, before, epoch, now)
        return cursor

    def _skip_what_is_gone(
        self, connection: Connection, cursor: Cursor, batch: Batch, redis: Confirmed, now: datetime
    ) -> Cursor:
        later = [BatchId(batch.id.epoch, seq, nonce) for seq, nonce in redis.in_flight if seq > batch.id.seq]
        in_flight = [batch, *(one for _, one in self.buffer.in_flight(batch.shard, later) if one)]
        delta = sum(one.delta for one in in_flight)
        lost = incidents.unaccounted(connection, self.namespace, cursor, redis.sealed, delta)
        detail = f"batches {cursor.seq + 1} to {batch.id.seq - 1} are not in the database: was it restored?"
        self._record(connection, Kind.SQL_WENT_BACK, detail, cursor, batch.id.epoch, now, lost)
        return cursor._replace(seq=batch.id.seq - 1, nonce=batch.previous)

    def _set_aside(self, connection: Connection, cursor: Cursor, batch: Batch, now: datetime) -> None:
        reason = "its epoch was given up"
        letters = dead_letters.everything_in(batch, reason)
        dead_letters.write(connection, self.namespace, batch, letters, now)
        cursors.retire(connection, self.namespace, cursor, batch.id.epoch, "a batch was not to be trusted", now)
        if not incidents.is_recorded(connection, self.namespace, Kind.SET_ASIDE, batch.shard, batch.id.epoch):
            detail = f"from batch {batch.id.seq} on its entries are set aside as dead letters: {reason}"
            self._record(connection, Kind.SET_ASIDE, detail, cursor, batch.id.epoch, now)

    def _record(
        self,
        connection: Connection,
        kind: Kind,
        detail: str,
        cursor: Cursor,
        epoch: str,
        now: datetime,
        delta: int | None = None,
    ) -> None:
        incidents.record(
            connection,
            self.namespace,
            kind,
            detail,
            now=now,
            exposed_from=cursor.updated_at,
            shard=cursor.shard,
            epoch=epoch,
            delta=delta,
        )
