"""What workers keep beside the counts: leases, heartbeats, producers that fell silent, sums that need mending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from likes.buffer.calls import Call, Script, Word
from likes.buffer.keys import EpochKeys, ShardKeys
from likes.member import Member

LEASE = Script("lease")
BEAT = Script("beat")
PRUNE_PRODUCERS = Script("prune_producers")
REPAIR = Script("repair")
WRITE_OFF = Script("write_off")


def lease(keys: ShardKeys, *, token: str, milliseconds: int) -> Call[bool]:
    """Take or keep the lease; 0 milliseconds gives it back. False if another worker holds it."""
    return LEASE.call(keys.shard, (keys.lease, keys.epochs), (token, milliseconds), bool)


def beat(keys: ShardKeys, *, worker: str, said: str, now: int, forget: int) -> Call[None]:
    """Keep what a worker says of itself ("": it ends); those silent for `forget` milliseconds are forgotten.

    now: milliseconds since 1970 by the worker's clock, for a Redis that does not tell its own.
    """
    return BEAT.call(keys.shard, (keys.workers,), (worker, said, now, forget), lambda _: None)


def prune_producers(keys: EpochKeys, seen: Mapping[bytes, bytes], owner: str) -> Call[int]:
    """Forget those producers of which still just that is remembered which was `seen`, if the shard belongs to the
    database `owner`; returns how many.
    """
    arguments: list[Word] = [owner, *chain.from_iterable(seen.items())]
    return PRUNE_PRODUCERS.call(keys.shard, (keys.producers, keys.owner), arguments, int)


def repair(keys: EpochKeys, *, now: int, members: Sequence[Member]) -> Call[int]:
    """Push those of `members` that have a delta to pending again; returns how many."""
    return REPAIR.call(keys.shard, (keys.state, keys.pending, *keys.of(members)), (now,), int)


def write_off(keys: EpochKeys, *, before: int, now: int, owner: str) -> Call[bool]:
    """Count as sealed what was written off since `before`, `now` in all; False if that is no longer how it stands."""
    return WRITE_OFF.call(keys.shard, (keys.state, keys.owner), (before, now, now - before, owner), bool)
