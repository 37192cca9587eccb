"""All a worker asks of SQL: where the shards stand, and to count what was handed off. Each call is a transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, Engine

from likes.batch import BatchId, Place
from likes.chain import Chain
from likes.errors import LikesError
from likes.sql import covering, cursors, epochs, generations, identity, incidents, known_redis
from likes.sql.chains import count_whole, portions
from likes.sql.clock import read_clock
from likes.sql.connections import replaced
from likes.sql.cursors import Cursor
from likes.sql.emptied import record_emptied
from likes.sql.engine import reading
from likes.sql.exposure import Window, window_of
from likes.sql.identity import Claim
from likes.sql.incidents import Kind
from likes.sql.locked_shard import LockedShard
from likes.sql.rows import is_recorded
from likes.sql.transaction import transact
from likes.sql.urls import describe, url_of

T = TypeVar("T")


class Ledger:
    """The SQL side of one namespace.

    claim: what the flush was begun for; nothing is applied or put right once that is no longer so.
    worker: written into the rows of the batches it applies.
    redis_clock: the moment by the clock of the Redis that a shard lives on, None if it does not tell.
    """

    claim = Claim()

    def __init__(
        self,
        engine: Engine,
        namespace: str,
        worker: str,
        redis_clock: Callable[[int], datetime | None] = lambda _shard: None,
    ) -> None:
        self.engine = engine
        self.namespace = namespace
        self.worker = worker
        self.redis_clock = redis_clock

    @property
    def where(self) -> str:
        """The kind of database and where it is, for messages."""
        return describe(url_of(self.engine))

    def cursors(self) -> dict[int, Cursor]:
        """The cursors of all shards that have one."""
        with reading(self.engine) as connection:
            return cursors.read_all(connection, self.namespace)

    def shard(self, shard: int) -> tuple[Cursor, frozenset[str]]:
        """The cursor of one shard, and its retired epochs."""
        with reading(self.engine) as connection:
            return (
                cursors.read_one(connection, self.namespace, shard),
                epochs.retired(connection, self.namespace, shard),
            )

    def has(self, batch: BatchId) -> bool:
        """True if this very batch was counted or set aside."""
        with reading(self.engine) as connection:
            return is_recorded(connection, self.namespace, batch)

    def known(self) -> tuple[str, dict[int, Cursor]]:
        """The id of the database, "" before it has one, and the cursors of all shards that have one."""
        with reading(self.engine) as connection:
            return identity.read(connection), cursors.read_all(connection, self.namespace)

    def make_database_id(self) -> str:
        """The id of the database, made if it has none."""
        return identity.make_id(self.engine)

    def begin_cursors(self, shards: Collection[int], former_redis_names: Collection[str] = ()) -> None:
        """Give shards their first cursor. Those that have one keep it, renamed if their Redis had a former name."""

        def work(connection: Connection) -> None:
            identity.require(connection, self.claim)
            known_redis.rename_redis(connection, self.namespace, former_redis_names, self.claim.redis_name)
            cursors.begin(connection, self.namespace, shards, self.claim.redis_name, datetime.now(UTC))

        transact(self.engine, work)

    def note_emptied(self, unclaimed: Collection[int]) -> None:
        """Record an incident if Redis was emptied before the first likes of these shards, which belong to nobody, were
        flushed.
        """
        redis_now = self.redis_clock(min(unclaimed))

        def work(connection: Connection) -> None:
            identity.require(connection, self.claim)
            record_emptied(connection, self.namespace, unclaimed, redis_now)

        transact(self.engine, work)

    def note_replaced(self) -> None:
        """Record an incident for each time that another database was found in the place of this one."""
        said = replaced(self.engine)
        while said:
            transact(self.engine, partial(self._record_replaced, detail=said[0]))
            said.pop(0)

    def _record_replaced(self, connection: Connection, detail: str) -> None:
        known = cursors.read_all(connection, self.namespace).values()
        now = read_clock(connection)
        exposed = window_of(known, redis_now=None, sql_now=now) if known else Window(None, now)
        incidents.record(connection, self.namespace, Kind.SQL_REPLACED, detail, at=now, exposed=exposed)

    def apply(self, chains: Sequence[Chain]) -> list[Chain]:
        """Count chains, at most one of each shard, in as few transactions as take them; returns those in SQL now.

        A transaction counts all of its chains, every entry of them, or does nothing. It is tried once. What is left
        out did not follow its cursor, or the database did not take it: `locked` shows which, for each shard alone.
        """
        applied: list[Chain] = []
        in_order = sorted(chains, key=lambda chain: chain.shard)  # the order all workers lock in, else they deadlock
        with suppress(LikesError):  # when each goes alone it shows which one failed, or that it was too much at once
            for some in portions(in_order):
                applied += some if count_whole(self.engine, self.namespace, self.worker, self.claim, some) else ()
        return applied

    def locked(self, shard: int, work: Callable[[LockedShard], T]) -> T:
        """Run `work` on one shard in a transaction that holds its cursor's lock; it must be safe to repeat.

        Raises DatabaseUnavailable and WrongRedis if they no longer belong together as they did when the flush began.
        """

        def transaction(connection: Connection) -> T:
            identity.require(connection, self.claim)
            locked = LockedShard(connection, self.namespace, shard, self.worker, self.redis_clock)
            known_redis.require_redis(locked.cursor, self.claim.redis_name)
            return work(locked)

        return transact(self.engine, transaction)

    def renew_generations(self, shards: Collection[int], *, above: int) -> None:
        """Give shards a generation of cached totals above that which Redis knows."""
        transact(self.engine, lambda connection: generations.renew(connection, self.namespace, shards, above))

    def close_books(self, shard: int, epoch: str, *, accepted: int, sealed: int) -> None:
        """Keep what Redis counted under a retired epoch, before its keys are dropped."""
        close = partial(epochs.close_books, accepted=accepted, sealed=sealed)
        transact(self.engine, lambda connection: close(connection, self.namespace, shard, epoch))

    def note_server(
        self,
        read: Collection[Cursor],
        run_id: str,
        replid: str,
        *,
        durable: bool,
        incident: tuple[Kind, str] | None = None,
        exposed: Collection[Cursor] = (),
        redis_now: datetime | None = None,
    ) -> None:
        """Remember which server answers now for the shards of these cursors, if nobody noted one since they were read.

        incident: what it means that it is another one; a restart is told with the first shard that knows the process.
        exposed: the cursors of the shards to which it means that. redis_now: the moment by its clock.
        """

        def work(connection: Connection) -> None:
            identity.require(connection, self.claim)
            known, is_first = known_redis.note_server(
                connection, self.namespace, read, replid=replid, run_id=run_id, durable=int(durable)
            )
            if known and incident and (is_first or incident[0] is not Kind.REDIS_RESTARTED):
                now = read_clock(connection)
                window = window_of(exposed, redis_now=redis_now, sql_now=now)
                incidents.record(connection, self.namespace, *incident, at=now, exposed=window)

        transact(self.engine, work)

    def clock(self) -> datetime:
        """This very moment, by the clock of the database."""
        with reading(self.engine) as connection:
            return read_clock(connection)

    def cover(
        self,
        places: Mapping[int, Place],
        *,
        to: datetime,
        at: datetime,
        by: datetime,
        run_id: str,
        is_used: bool = True,
    ) -> None:
        """Note that what Redis accepted before `to` in these shards is in SQL, by a flush that is over.

        places: where it left the cursors; run_id: the server's process, as it noted there. A shard whose cursor went
        back from there meanwhile is not covered.
        to, by: when it began and when it was over, by Redis's clock; at: when it began, by SQL's.
        is_used: whether clients like there, for all one knows; else an earlier `to` stays.
        """
        cover = partial(covering.cover, to=to, at=at, by=by, run_id=run_id, is_used=is_used)
        transact(self.engine, lambda connection: cover(connection, self.namespace, places))
