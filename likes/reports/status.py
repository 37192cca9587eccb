"""How things stand: what is pending and in flight, when the last flush was, who flushes, and what went wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from likes.buffer.buffer import Buffer
from likes.buffer.leases import Lease, read_leases
from likes.buffer.looking import find_damage
from likes.buffer.standing import ShardView
from likes.errors import RedisRefused
from likes.sql.cursors import Cursor
from likes.sql.ledger import Ledger
from likes.sql.reports import Incident, read_overview

INCIDENTS = 10


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """One shard: in Redis under `epoch` (None: no likes yet), and in SQL (`cursor_…`; None before a first flush).

    Pending items and batches in flight of epochs left behind are counted too.
    """

    shard: int
    epoch: str | None
    pending_items: int
    in_flight_batches: int
    oldest_pending_seconds: float | None
    lease: str | None  # the token of who flushes it now
    lease_seconds: float | None
    seq: int
    cursor_epoch: str | None
    cursor_seq: int | None
    problems: Sequence[str] = ()  # keys that hold what nobody of ours put there


@dataclass(frozen=True, slots=True)
class Status:
    """All shards, their sums, and the latest incidents, newest first; `dead_letters` counts the unresolved ones."""

    pending_items: int
    in_flight_batches: int
    oldest_pending_seconds: float | None
    last_flush_at: datetime | None
    incidents: int
    dead_letters: int
    shards: Sequence[ShardStatus]
    newest_incidents: Sequence[Incident]
    problems: Sequence[str] = ()  # of all shards


def read_status(buffer: Buffer, ledger: Ledger, shards: int) -> Status:
    """Look at both servers, without changing anything. Raises RedisUnavailable, DatabaseUnavailable, SchemaOutdated."""
    sql = read_overview(ledger.engine, ledger.namespace, INCIDENTS)
    of_shards = _read_shards(buffer, sql.cursors, sorted({*range(shards), *sql.cursors}))
    return Status(
        pending_items=sum(shard.pending_items for shard in of_shards),
        in_flight_batches=sum(shard.in_flight_batches for shard in of_shards),
        oldest_pending_seconds=_largest(shard.oldest_pending_seconds for shard in of_shards),
        last_flush_at=max((cursor.updated_at for cursor in sql.cursors.values() if cursor.seq), default=None),
        incidents=sql.incidents,
        dead_letters=sql.dead_letters,
        shards=of_shards,
        newest_incidents=sql.newest_incidents,
        problems=[f"shard {shard.shard}: {problem}" for shard in of_shards for problem in shard.problems],
    )


def _read_shards(buffer: Buffer, known: Mapping[int, Cursor], shards: Collection[int]) -> list[ShardStatus]:
    views = buffer.look({shard: known[shard].epoch if shard in known else None for shard in shards})
    leases = read_leases(buffer, shards)
    damage = find_damage(buffer.link, buffer.namespace, {shard: view.current for shard, view in views.items()})
    for shard, view in views.items():
        damage[shard] += _unreadable_batches(buffer, view)
    now = buffer.now()
    return [
        _shard_status(view, known.get(shard), leases.get(shard), now, damage[shard]) for shard, view in views.items()
    ]


def _unreadable_batches(buffer: Buffer, view: ShardView) -> Iterator[str]:
    for batch in (batch for epoch in view.epochs.values() for batch in epoch.in_flight):
        try:
            list(buffer.in_flight([batch]))
        except RedisRefused as error:
            yield str(error)


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
    )


def _age(now: float, since: int | None) -> float | None:
    return None if since is None else round(max(0.0, now - since / 1000), 3)


def _largest(ages: Iterable[float | None]) -> float | None:
    return max((age for age in ages if age is not None), default=None)
