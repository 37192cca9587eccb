"""How things stand: what is pending and in flight, when the last flush was, who flushes, and what went wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from likes.buffer.buffer import Buffer
from likes.buffer.keys import epoch_keys, shard_keys
from likes.buffer.links.link import ask
from likes.buffer.scripts import Call, command
from likes.buffer.standing import ShardView
from likes.sql import cursors
from likes.sql.cursors import Cursor
from likes.sql.engine import reading
from likes.sql.ledger import Ledger
from likes.sql.reports import Incident, count_dead_letters, count_incidents, newest_incidents

INCIDENTS = 10


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """One shard: in Redis under `epoch` (None: no likes yet), and in SQL, where `cursor_…` are None before a flush.

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


@dataclass(frozen=True, slots=True)
class Status:
    """All shards, their sums, and the newest incidents, the newest first; `dead_letters` counts unresolved ones."""

    pending_items: int
    in_flight_batches: int
    oldest_pending_seconds: float | None
    last_flush_at: datetime | None
    incidents: int
    dead_letters: int
    shards: Sequence[ShardStatus]
    newest_incidents: Sequence[Incident]


def read_status(buffer: Buffer, ledger: Ledger, shards: int) -> Status:
    """Look at both servers, without changing anything. Raises RedisUnavailable, DatabaseUnavailable, SchemaOutdated."""
    namespace = ledger.namespace
    with reading(ledger.engine) as connection:
        known = cursors.read_all(connection, namespace)
        incidents = count_incidents(connection, namespace)
        dead_letters = count_dead_letters(connection, namespace)
        newest = newest_incidents(connection, namespace, INCIDENTS)
    of_shards = _read_shards(buffer, known, sorted({*range(shards), *known}))
    return Status(
        pending_items=sum(shard.pending_items for shard in of_shards),
        in_flight_batches=sum(shard.in_flight_batches for shard in of_shards),
        oldest_pending_seconds=_largest(shard.oldest_pending_seconds for shard in of_shards),
        last_flush_at=max((cursor.updated_at for cursor in known.values() if cursor.seq), default=None),
        incidents=incidents,
        dead_letters=dead_letters,
        shards=of_shards,
        newest_incidents=newest,
    )


def _read_shards(buffer: Buffer, known: dict[int, Cursor], shards: Collection[int]) -> list[ShardStatus]:
    expected = {shard: known[shard].epoch if shard in known else None for shard in shards}
    views = buffer.look(expected)
    calls: list[Call[Any]] = [command("TIME")]
    for shard, view in views.items():
        lease = shard_keys(buffer.prefix, shard).lease
        calls += [command("GET", lease), command("PTTL", lease)]
        calls += [command("HGET", epoch_keys(buffer.prefix, shard, e).state, "pending_since") for e in view.epochs]
    replies = iter(ask(buffer.link, calls))
    seconds, microseconds = next(replies)
    now = int(seconds) + int(microseconds) / 1_000_000
    statuses = []
    for shard, view in views.items():
        lease, lasts = next(replies), next(replies)
        ages = [_age(now, next(replies), epoch.pending) for epoch in view.epochs.values()]
        statuses.append(_shard_status(view, known.get(shard), lease, lasts, _largest(ages)))
    return statuses


def _shard_status(
    view: ShardView, cursor: Cursor | None, lease: bytes | None, lasts: int, oldest: float | None
) -> ShardStatus:
    current = view.epochs.get(view.current)
    held = lease is not None and lasts >= 0
    return ShardStatus(
        shard=view.shard,
        epoch=view.current or None,
        pending_items=sum(epoch.pending for epoch in view.epochs.values()),
        in_flight_batches=sum(len(epoch.in_flight) for epoch in view.epochs.values()),
        oldest_pending_seconds=oldest,
        lease=lease.decode() if lease is not None and held else None,
        lease_seconds=lasts / 1000 if held else None,
        seq=current.seq if current else 0,
        cursor_epoch=cursor.epoch if cursor else None,
        cursor_seq=cursor.seq if cursor else None,
    )


def _age(now: float, since: bytes | None, pending: int) -> float | None:
    return round(max(0.0, now - int(since) / 1000), 3) if since and pending else None


def _largest(ages: Iterable[float | None]) -> float | None:
    return max((age for age in ages if age is not None), default=None)
