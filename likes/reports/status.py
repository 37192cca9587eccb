"""How things stand: what is pending and in flight, when the last flush was, who flushes, and what went wrong.

With one server away it is what the other says, and since when the one is away as far as anybody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from likes.buffer.buffer import Buffer
from likes.buffer.heartbeat import SeenWorker, read_workers
from likes.errors import Unavailable, WrongRedis
from likes.reports.shards import ShardStatus, largest, read_shards, shard_in_sql, sum_of
from likes.sql.cursors import Cursor
from likes.sql.known_redis import require_redis
from likes.sql.ledger import Ledger
from likes.sql.reports import Incident, read_overview

INCIDENTS = 10

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Status:
    """All shards, their sums, how many incidents and dead letters are open, and the latest of those incidents.

    What only a server knows that is away is None; `…_trouble` says why it is, `…_away_since` since when at least.
    workers: those alive; None also where Redis does not tell. covered_at: when a whole flush was last done, also one
    that had nothing to move.
    """

    pending_items: int | None
    in_flight_batches: int | None
    oldest_pending_seconds: float | None
    last_flush_at: datetime | None
    incidents: int | None
    dead_letters: int | None
    workers: Sequence[SeenWorker] | None
    redis_away_since: datetime | None
    redis_trouble: str | None
    database_away_since: datetime | None
    database_trouble: str | None
    shards: Sequence[ShardStatus]
    newest_incidents: Sequence[Incident] | None
    problems: Sequence[str] = ()  # of all shards, and of workers that are not set up alike
    covered_at: datetime | None = None
    pending_delta: int | None = None
    in_flight_delta: int | None = None


def read_status(
    buffer: Buffer,
    ledger: Ledger,
    shards: int,
    before: Status | None = None,
    redis_names: Sequence[str] = (),
) -> Status:
    """Look at both servers, without changing anything. Raises SchemaOutdated, and what else waiting does not cure.

    before: an earlier status, which may have found the same server away. redis_names: by which the database may know
    this Redis; it is a problem if it knows another.
    """
    found, no_sql = _unless_away(lambda: (read_overview(ledger.engine, ledger.namespace, INCIDENTS), ledger.known()[0]))
    sql, database = found or (None, None)
    cursors = sql.cursors if sql else {}
    numbers = sorted({*range(shards), *cursors})
    seen, no_redis = _unless_away(lambda: (read_shards(buffer, cursors, numbers, database), read_workers(buffer)))
    of_shards, workers = seen or ([shard_in_sql(shard, cursors.get(shard)) for shard in numbers], None)
    return Status(
        pending_items=_sum_of_known(shard.pending_items for shard in of_shards),
        in_flight_batches=_sum_of_known(shard.in_flight_batches for shard in of_shards),
        oldest_pending_seconds=largest(shard.oldest_pending_seconds for shard in of_shards),
        last_flush_at=max(
            (cursor.updated_at for cursor in cursors.values() if cursor.seq or cursor.covered_by), default=None
        ),
        incidents=sql.incidents if sql else None,
        dead_letters=sql.dead_letters if sql else None,
        workers=workers,
        redis_away_since=_earliest([before.redis_away_since] if before else []) if no_redis else None,
        redis_trouble=str(no_redis) if no_redis else None,
        database_away_since=_earliest(_missed_the_database(workers, before)) if no_sql else None,
        database_trouble=str(no_sql) if no_sql else None,
        shards=of_shards,
        newest_incidents=sql.newest_incidents if sql else None,
        problems=[
            *(_named(shard.shard, problem) for shard in of_shards for problem in shard.problems),
            *_disagreement(workers),
            *_closed(of_shards),
            *(_of_another_redis(cursors.values(), redis_names) if redis_names else ()),
        ],
        covered_at=max((cursor.covered_by for cursor in cursors.values() if cursor.covered_by), default=None),
        pending_delta=sum_of(shard.pending_delta for shard in of_shards),
        in_flight_delta=sum_of(shard.in_flight_delta for shard in of_shards),
    )


def _unless_away(read: Callable[[], T]) -> tuple[T | None, Unavailable | None]:
    try:
        return read(), None
    except Unavailable as error:
        return None, error


def _missed_the_database(workers: Sequence[SeenWorker] | None, before: Status | None) -> list[datetime | None]:
    """Since when workers miss it, and this command."""
    told = [worker.said.database_away_since for worker in workers or ()]
    return [*told, before.database_away_since] if before else told


def _disagreement(workers: Sequence[SeenWorker] | None) -> Iterator[str]:
    """What one worker leaves in flight, as nothing has confirmed it, another must not apply."""
    if len({worker.durability for worker in workers or ()}) > 1:
        said = ", ".join(f"{worker.name} has {worker.durability}" for worker in workers or ())
        yield f"workers differ in LIKES_DURABILITY ({said}): give all of them the same"


def _sum_of_known(numbers: Iterable[int | None]) -> int | None:
    """Their sum, without the shards that cannot be read, which are among the problems; None if none can."""
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def _named(shard: int, problem: str) -> str:
    prefix = f"shard {shard}: "
    return problem if problem.startswith(prefix) else prefix + problem


def _closed(shards: Sequence[ShardStatus]) -> Iterator[str]:
    """What accepts no likes while the number of shards is being changed."""
    if closed := [shard for shard in shards if shard.resharding]:
        words = f"{len(closed)} shards accept no likes, as their number is being changed; if that was broken off"
        yield f"{words}: likes reshard {closed[0].resharding}"


def _of_another_redis(cursors: Iterable[Cursor], redis_names: Sequence[str]) -> Iterator[str]:
    try:
        for cursor in cursors:
            require_redis(cursor, *redis_names)
    except WrongRedis as error:
        yield str(error)


def _earliest(moments: Iterable[datetime | None]) -> datetime:
    """The first of the moments at which somebody missed a server; now, if nobody has before."""
    return min((moment for moment in moments if moment is not None), default=datetime.now(UTC))
