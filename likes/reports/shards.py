"""How each shard stands: what Redis holds of it, who flushes it, where its cursor is, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from likes.buffer.buffer import Buffer
from likes.buffer.inventory import delta_of
from likes.buffer.leases import Lease, read_leases
from likes.buffer.looking import find_damage
from likes.buffer.standing import ShardView
from likes.errors import RedisRefused
from likes.sql.cursors import Cursor


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """One shard: in Redis under `epoch` (None: no likes yet), and in SQL (`cursor_…`; None before a first flush).

    Pending items and batches in flight of epochs left behind are counted too; they and `seq` are None with Redis away,
    the first two also where it does not tell.
    The deltas are sums; `accepted` is the running one of `epoch`. They are None, too, where Redis's sums are damaged,
    `in_flight_delta` where a batch cannot be read.
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
    resharding: str | None = None  # to how many shards it is being changed: it accepts no likes


def read_shards(
    buffer: Buffer, known: Mapping[int, Cursor], shards: Collection[int], database: str | None
) -> list[ShardStatus]:
    """How these shards stand. known: their cursors; database: its id, None where it is away."""
    views = buffer.look({shard: known[shard].epoch if shard in known else None for shard in shards})
    leases = read_leases(buffer, shards)
    damage = find_damage(buffer.link, buffer.namespace, {shard: view.current for shard, view in views.items()})
    in_flight: dict[int, int | None] = {}
    for shard, view in views.items():
        in_flight[shard], unreadable = _sum_in_flight(buffer, view)
        damage[shard] += unreadable
        if database is not None and view.owner not in ("", database):
            damage[shard].append(
                f"it belongs to the database {view.owner[:8]}…, not to this one, so it is not flushed; see likes check"
            )
    now = buffer.now()
    return [
        _shard_status(view, known.get(shard), leases.get(shard), now, damage[shard], in_flight[shard])
        for shard, view in views.items()
    ]


def _sum_in_flight(buffer: Buffer, view: ShardView) -> tuple[int | None, list[str]]:
    """The deltas of all batches in flight, None if some cannot be read, and what is wrong with those."""
    delta, unreadable = 0, []
    for batch in (batch for epoch in view.epochs.values() for batch in epoch.in_flight):
        try:
            delta += delta_of(buffer, batch) or 0
        except RedisRefused as error:
            unreadable.append(str(error))
    return None if unreadable else delta, unreadable


def _shard_status(
    view: ShardView,
    cursor: Cursor | None,
    lease: Lease | None,
    now: float,
    damage: Collection[str],
    in_flight_delta: int | None,
) -> ShardStatus:
    current, is_readable = view.epochs.get(view.current), view.error is None
    odd = [epoch.damage for epoch in view.epochs.values() if epoch.damage]
    return ShardStatus(
        shard=view.shard,
        epoch=view.current or None,
        pending_items=sum(epoch.pending for epoch in view.epochs.values()) if is_readable else None,
        in_flight_batches=sum(len(epoch.in_flight) for epoch in view.epochs.values()) if is_readable else None,
        oldest_pending_seconds=largest(_age(now, epoch.pending_since) for epoch in view.epochs.values()),
        lease=lease.token if lease else None,
        lease_seconds=lease.seconds if lease else None,
        seq=current.seq if current else 0,
        cursor_epoch=cursor.epoch if cursor else None,
        cursor_seq=cursor.seq if cursor else None,
        problems=list(dict.fromkeys([*([str(view.error)] if view.error else []), *damage, *odd])),
        accepted=current.accepted if current and current.has_sums else 0 if not current else None,
        pending_delta=sum_of(
            epoch.accepted - epoch.sealed if epoch.has_sums else None for epoch in view.epochs.values()
        ),
        in_flight_delta=in_flight_delta,
        resharding=view.resharding or None,
    )


def shard_in_sql(shard: int, cursor: Cursor | None) -> ShardStatus:
    """How a shard stands by its cursor alone, with Redis away."""
    epoch, seq = (cursor.epoch, cursor.seq) if cursor else (None, None)
    return ShardStatus(shard, None, None, None, None, None, None, None, cursor_epoch=epoch, cursor_seq=seq)


def _age(now: float, since: int | None) -> float | None:
    return None if since is None else round(max(0.0, now - since / 1000), 3)


def sum_of(numbers: Iterable[int | None]) -> int | None:
    """Their sum; None if one of them is."""
    known = list(numbers)
    return sum(number for number in known if number is not None) if None not in known else None


def largest(ages: Iterable[float | None]) -> float | None:
    """The largest of those that are known, if any is."""
    return max((age for age in ages if age is not None), default=None)
