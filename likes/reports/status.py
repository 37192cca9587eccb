"""How things stand: what is pending and in flight, when the last flush was, who flushes, and what went wrong.

With one server away it is what the other says, and since when the one is away as far as anybody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from likes.buffer.buffer import Buffer
from likes.buffer.heartbeat import SeenWorker, read_workers
from likes.buffer.inventory import delta_of
from likes.buffer.leases import Lease, read_leases
from likes.buffer.looking import find_damage
from likes.buffer.standing import ShardView
from likes.errors import RedisRefused, Unavailable
from likes.sql.cursors import Cursor
from likes.sql.ledger import Ledger
from likes.sql.reports import Incident, read_overview

INCIDENTS = 10

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """One shard: in Redis under `epoch` (None: no likes yet), and in SQL (`cursor_…`; None before a first flush).

    Pending items and batches in flight of epochs left behind are counted too; they and `seq` are None with Redis away.
    The deltas are sums; `accepted` is the running one of `epoch`. They are None, too, where Redis's sums are damaged.
    """

    shard: int
    epoch: str | None
    pending_items: int | None
    in_flight_batches: int | None
    oldest_pending_seconds: float | None
    lease: str | None  # the token of who flushes it now
    lease_seconds: float | None
    seq: int | None
    cursor_epoch: str | None
    cursor_seq: int | None
    problems: Sequence[str] = ()  # keys that hold what nobody of ours put there
    accepted: int | None = None
    pending_delta: int | None = None
    in_flight_delta: int | None = None


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


def read_status(buffer: Buffer, ledger: Ledger, shards: int, before: Status | None = None) -> Status:
    """Look at both servers, without changing anything. Raises SchemaOutdated, and what else waiting does not cure.

    before: an earlier status, which may have found the same server away.
    """
    found, no_sql = _unless_away(lambda: (read_overview(ledger.engine, ledger.namespace, INCIDENTS), ledger.known()[0]))
    sql, database = found or (None, None)
    cursors = sql.cursors if sql else {}
    numbers = sorted({*range(shards), *cursors})
    seen, no_redis = _unless_away(lambda: (_read_shards(buffer, cursors, numbers, database), read_workers(buffer)))
    of_shards, workers = seen or ([_shard_in_sql(shard, cursors.get(shard)) for shard in numbers], None)
    return Status(
        pending_items=sum(shard.pending_items or 0 for shard in of_shards) if seen else None,
        in_flight_batches=sum(shard.in_flight_batches or 0 for shard in of_shards) if seen else None,
        oldest_pending_seconds=_largest(shard.oldest_pending_seconds for shard in of_shards),
        last_flush_at=max((cursor.updated_at for cursor in cursors.values() if cursor.seq), default=None),
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
            *(f"shard {shard.shard}: {problem}" for shard in of_shards for problem in shard.problems),
            *_disagreement(workers),
        ],
        covered_at=max((cursor.covered_by for cursor in cursors.values() if cursor.covered_by), default=None),
        pending_delta=_sum(shard.pending_delta for shard in of_shards),
        in_flight_delta=_sum(shard.in_flight_delta for shard in of_shards),
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


def _earliest(moments: Iterable[datetime | None]) -> datetime:
    """The first of the moments at which somebody missed a server; now, if nobody has before."""
    return min((moment for moment in moments if moment is not None), default=datetime.now(UTC))


def _read_shards(
    buffer: Buffer, known: Mapping[int, Cursor], shards: Collection[int], database: str | None
) -> list[ShardStatus]:
    views = buffer.look({shard: known[shard].epoch if shard in known else None for shard in shards})
    leases = read_leases(buffer, shards)
    damage = find_damage(buffer.link, buffer.namespace, {shard: view.current for shard, view in views.items()})
    in_flight: dict[int, int] = {}
    for shard, view in views.items():
        in_flight[shard], unreadable = _sum_in_flight(buffer, view)
        damage[shard] += unreadable
        if database is not None and view.owner not in ("", database):
            damage[shard].append(
                f"it belongs to the database {view.owner[:8]}…, not to this one, so it is not flushed; see likes check"
            )
    now = buffer.now()
    return [
        replace(
            _shard_status(view, known.get(shard), leases.get(shard), now, damage[shard]),
            in_flight_delta=in_flight[shard],
        )
        for shard, view in views.items()
    ]


def _sum_in_flight(buffer: Buffer, view: ShardView) -> tuple[int, list[str]]:
    """The deltas of all batches in flight, and what is wrong with those that cannot be read."""
    delta, unreadable = 0, []
    for batch in (batch for epoch in view.epochs.values() for batch in epoch.in_flight):
        try:
            delta += delta_of(buffer, batch) or 0
        except RedisRefused as error:
            unreadable.append(str(error))
    return delta, unreadable


def _shard_status(
    view: ShardView, cursor: Cursor | None, lease: Lease | None, now: float, damage: Collection[str]
) -> ShardStatus:
    current = view.epochs.get(view.current)
    odd = [epoch.damage for epoch in view.epochs.values() if epoch.damage]
    return ShardStatus(
        shard=view.shard,
        epoch=view.current or None,
        pending_items=sum(epoch.pending for epoch in view.epochs.values()),
        in_flight_batches=sum(len(epoch.in_flight) for epoch in view.epochs.values()),
        oldest_pending_seconds=_largest(_age(now, epoch.pending_since) for epoch in view.epochs.values()),
        lease=lease.token if lease else None,
        lease_seconds=lease.seconds if lease else None,
        seq=current.seq if current else 0,
        cursor_epoch=cursor.epoch if cursor else None,
        cursor_seq=cursor.seq if cursor else None,
        problems=list(dict.fromkeys([*([str(view.error)] if view.error else []), *damage, *odd])),
        accepted=current.accepted if current and current.has_sums else 0 if not current else None,
        pending_delta=_sum(epoch.accepted - epoch.sealed if epoch.has_sums else None for epoch in view.epochs.values()),
    )


def _shard_in_sql(shard: int, cursor: Cursor | None) -> ShardStatus:
    """What the cursor says alone, with Redis away."""
    epoch, seq = (cursor.epoch, cursor.seq) if cursor else (None, None)
    return ShardStatus(shard, None, None, None, None, None, None, None, cursor_epoch=epoch, cursor_seq=seq)


def _age(now: float, since: int | None) -> float | None:
    return None if since is None else round(max(0.0, now - since / 1000), 3)


def _sum(numbers: Iterable[int | None]) -> int | None:
    """None if one of them is."""
    known = list(numbers)
    return sum(number for number in known if number is not None) if None not in known else None


def _largest(ages: Iterable[float | None]) -> float | None:
    return max((age for age in ages if age is not None), default=None)
