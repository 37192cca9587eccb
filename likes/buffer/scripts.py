"""The Lua scripts and how to call them: each function's signature is the contract of one `.lua` file.

Each builds a `Call`, a value that a link sends. So the same calls serve threads and asyncio.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import msgpack

from likes.batch import Batch, BatchId, Place
from likes.buffer.calls import Call, Script
from likes.buffer.keys import EpochKeys, ShardKeys
from likes.buffer.standing import FIELDS, Standing, read_standing
from likes.member import Entry, Member

ADD = Script("add")
HAND_OFF = Script("hand_off", alone=True)  # it holds Redis for about a millisecond, and nobody waits for a flush
ACKNOWLEDGE = Script("acknowledge")
BEGIN_EPOCH = Script("begin_epoch")
DROP_EPOCH = Script("drop_epoch")
CONFIRM = Script("confirm")
LEASE = Script("lease")
PRUNE_PRODUCERS = Script("prune_producers")
LIVE = Script("live")
REPAIR = Script("repair")


class Added(NamedTuple):
    """What became of an add; unless `done` it did nothing, as another `epoch` is current, or none ("").

    refused: index of the entry -> reason. pending: the pending delta of each entry after it, if wanted.
    """

    epoch: str
    done: bool
    refused: dict[int, str]
    pending: tuple[int, ...]


def add(keys: EpochKeys, *, producer: str, sequence: int, entries: Sequence[Entry], wants_pending: bool) -> Call[Added]:
    """Add `entries` under the producer's sequence."""
    names = [keys.pointer, keys.state, keys.pending, keys.producers]
    names += keys.of(member for member, _ in entries)
    texts = [str(delta) for _, delta in entries]
    deltas = texts[0] if len(texts) == 1 else msgpack.packb(texts)
    arguments = (keys.epoch, producer, sequence, deltas, "1" if wants_pending else "")
    return ADD.call(keys.shard, names, arguments, _read_added)


def _read_added(reply: list[Any]) -> Added:
    if len(reply) == 1:
        return Added(reply[0].decode(), False, {}, ())
    refused = {int(i) - 1: reason.decode() for i, reason in zip(reply[1][::2], reply[1][1::2], strict=True)}
    pending = tuple(map(_whole, reply[2])) if len(reply) > 2 else ()
    return Added(reply[0].decode(), True, refused, pending)


class HandedOff(NamedTuple):
    """A batch just sealed, and the next head of what is pending, if it was asked for."""

    batch: Batch
    next_head: tuple[Member, ...]


def hand_off(
    keys: EpochKeys,
    *,
    after: Place,
    fresh_nonce: str,
    now: int,
    head: Sequence[Member],
    in_flight: int,
    next_head: int,
    pending_since: int | None,
) -> Call[HandedOff | None]:
    """Seal the members at the head of pending as the next batch `after` the last one, while only the `in_flight`
    batches handed off before it in its row are in flight. None, with nothing done, if anything is not as it was read.
    """
    names = [keys.state, keys.pending, keys.in_flight, keys.batch(after.seq + 1), *keys.of(head)]
    since = "" if pending_since is None else pending_since
    arguments = (keys.epoch, keys.shard, after.seq, after.nonce, fresh_nonce, now, in_flight, next_head, since)
    return HAND_OFF.call(keys.shard, names, arguments, _read_handed_off)


def _read_handed_off(reply: list[Any]) -> HandedOff | None:
    return HandedOff(Batch.unpack(reply[0]), tuple(msgpack.unpackb(reply[1], raw=True))) if reply else None


def acknowledge(keys: EpochKeys, batch: BatchId) -> Call[bool]:
    """Drop `batch`; True if it was in flight."""
    names = (keys.state, keys.in_flight, keys.batch(batch.seq))
    return ACKNOWLEDGE.call(keys.shard, names, (f"{batch.seq}:{batch.nonce}",), bool)


def begin_epoch(keys: ShardKeys, *, old: str, fresh: str) -> Call[str]:
    """Point at `fresh` if `old` ("" for none) is current; the epoch that is current now."""
    return BEGIN_EPOCH.call(keys.shard, (keys.pointer, keys.epochs), (old, fresh), bytes.decode)


def drop_epoch(keys: EpochKeys) -> Call[bool]:
    """Forget an epoch left behind; False if it is current or not yet empty."""
    names = (keys.pointer, keys.epochs, keys.state, keys.pending, keys.in_flight, keys.producers)
    return DROP_EPOCH.call(keys.shard, names, (keys.epoch,), bool)


def confirm(keys: EpochKeys) -> Call[Standing]:
    """Read where the shard stands, together with a write, which only a master accepts."""
    names = (keys.pointer, keys.state, keys.pending, keys.in_flight)
    return CONFIRM.call(keys.shard, names, FIELDS, partial(_read_confirmed, keys))


def _read_confirmed(keys: EpochKeys, reply: list[Any]) -> Standing:
    current, *standing = reply
    return read_standing(keys, current.decode(), *standing)


def lease(keys: ShardKeys, *, token: str, milliseconds: int) -> Call[bool]:
    """Take or keep the lease; 0 milliseconds gives it back. False if another worker holds it."""
    return LEASE.call(keys.shard, (keys.lease, keys.epochs), (token, milliseconds), bool)


def prune_producers(keys: EpochKeys, seen: Mapping[bytes, bytes]) -> Call[int]:
    """Forget those producers whose records are still what was `seen`; returns how many."""
    return PRUNE_PRODUCERS.call(keys.shard, (keys.producers,), [*chain.from_iterable(seen.items())], int)


class Live(NamedTuple):
    """What Redis has to add to SQL's totals at one moment: where the shard stands, and each member's pending delta.

    Nothing of it was read where the epoch asked for is not the one that is `standing.current`.
    """

    standing: Standing
    deltas: tuple[int, ...]

    @property
    def is_known(self) -> bool:
        """True if it was read."""
        return self.standing.epoch == self.standing.current


def live(keys: EpochKeys, members: Sequence[Member]) -> Call[Live]:
    """Read pending deltas and what is in flight, at one moment."""
    names = [keys.pointer, keys.state, keys.pending, keys.in_flight, *keys.of(members)]
    return LIVE.call(keys.shard, names, (keys.epoch, *FIELDS), partial(_read_live, keys))


def _read_live(keys: EpochKeys, reply: list[Any]) -> Live:
    if len(reply) == 1:
        return Live(Standing(keys.shard, keys.epoch, reply[0].decode()), ())
    current, *standing, deltas = reply
    return Live(read_standing(keys, current.decode(), *standing), tuple(map(_whole, deltas)))


def _whole(text: bytes | int | None) -> int:
    """A pending delta; what is no number (no client of ours wrote it) counts as 0, and a flush sets it aside."""
    try:
        return int(text or 0)
    except ValueError:
        return 0


def repair(keys: EpochKeys, *, now: int, members: Sequence[Member]) -> Call[int]:
    """Push those of `members` that have a delta to pending again; returns how many."""
    return REPAIR.call(keys.shard, (keys.state, keys.pending, *keys.of(members)), (now,), int)
