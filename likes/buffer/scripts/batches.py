"""The way of a batch through Redis: handed off, fetched by whoever goes on with it, acknowledged."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple

import msgpack

from likes.batch import Batch, BatchId, Place
from likes.buffer.calls import Call, Script
from likes.buffer.damage import damaged, read_word
from likes.buffer.keys import EpochKeys
from likes.member import Member

HAND_OFF = Script("hand_off", alone=True)  # it holds Redis for about a millisecond, and nobody waits for a flush
ACKNOWLEDGE = Script("acknowledge")
FETCH = Script("fetch")


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
    owner: str,
) -> Call[HandedOff | None]:
    """Seal the members at the head of pending as the next batch `after` the last one, while the shard belongs to the
    database `owner` and only the `in_flight` batches handed off before it in its row are in flight. None, with nothing
    done, if anything is not as it was read.
    """
    names = [keys.owner, keys.nonces, keys.state, keys.pending, keys.in_flight, keys.batch(after.seq + 1)]
    since = "" if pending_since is None else pending_since
    arguments = (keys.epoch, keys.shard, after.seq, after.nonce, fresh_nonce, now, in_flight, next_head, since, owner)
    names += keys.of(head)
    return HAND_OFF.call(keys.shard, names, arguments, _read_handed_off)


def _read_handed_off(reply: list[Any]) -> HandedOff | None:
    return HandedOff(Batch.unpack(reply[0]), tuple(msgpack.unpackb(reply[1], raw=True))) if reply else None


class Carried(IntEnum):
    """What became of an acknowledgement; the batch was dropped unless it was REFUSED."""

    REFUSED = 0
    THROUGH = 1
    NOT_THROUGH = 2  # totals are cached, and those cached before are not used any more


def acknowledge(
    keys: EpochKeys, batch: BatchId, owner: str, members: Sequence[Member] = (), *, drop: bool = False
) -> Call[Carried]:
    """Drop `batch` if it is the oldest in flight, and the shard belongs to the database `owner`.

    members: its entries in their order, where totals are cached: its deltas are carried through to them, or the cached
    totals are dropped, too.
    """
    names = (keys.owner, keys.state, keys.in_flight, keys.batch(batch.seq), *keys.totals_of(members))
    arguments = (owner, f"{batch.seq}:{batch.nonce}", "drop" if drop else "through")
    return ACKNOWLEDGE.call(keys.shard, names, arguments, Carried)


class Fetched(NamedTuple):
    """What stands at the key of a batch, "" for nothing, and the database its shard belongs to, "" for none."""

    owner: str
    payload: bytes


def fetch(keys: EpochKeys, seq: int) -> Call[Fetched]:
    """Read the batch number `seq`."""
    names = (keys.owner, keys.batch(seq))
    return FETCH.call(keys.shard, names, (), partial(_read_fetched, *names))


def _read_fetched(owner_key: bytes, batch_key: bytes, reply: list[bytes]) -> Fetched:
    owner, payload, is_another_type = reply
    if is_another_type:
        raise damaged(batch_key, "holds another type than ours")
    return Fetched(read_word(owner_key, owner), payload)
