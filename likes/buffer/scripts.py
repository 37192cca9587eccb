"""The Lua scripts and how to call them: each wrapper's signature is the contract of one `.lua` file.

A wrapper builds a `Call`, a value; `likes.buffer.links.link` sends it. So the same calls serve threads and asyncio.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from typing import Any, Generic, NamedTuple, TypeVar

import msgpack

from likes.batch import Batch, BatchId
from likes.buffer.keys import EpochKeys, ShardKeys

T = TypeVar("T")
Word = bytes | str | int


class Script:
    """One `.lua` file and its digest."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.source = files(__package__).joinpath("lua", f"{name}.lua").read_bytes()
        self.sha = sha1(self.source, usedforsecurity=False).hexdigest()

    def call(self, keys: Sequence[bytes], arguments: Sequence[Word], read: Callable[[Any], T]) -> Call[T]:
        """The call of this script with every key it touches declared."""
        return Call(("EVALSHA", self.sha, len(keys), *keys, *arguments), read, self)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A command for Redis and how to read its reply."""

    words: tuple[Word, ...]
    read: Callable[[Any], T]
    script: Script | None = None

    @property
    def alone(self) -> bool:
        """True if nothing may be sent behind it on its connection before it is answered."""
        return self.script is HAND_OFF  # it holds Redis for about a millisecond, and nobody waits for a flush


ADD = Script("add")
HAND_OFF = Script("hand_off")
ACKNOWLEDGE = Script("acknowledge")
BEGIN_EPOCH = Script("begin_epoch")
DROP_EPOCH = Script("drop_epoch")
CONFIRM = Script("confirm")
LEASE = Script("lease")
PRUNE_PRODUCERS = Script("prune_producers")
LIVE = Script("live")
REPAIR = Script("repair")


class Added(NamedTuple):
    """What became of an add. `refused`: index of the entry -> reason; `pending`: delta of each entry, if wanted."""

    epoch: str
    done: bool
    refused: dict[int, str]
    pending: tuple[int, ...]


def add(
    keys: EpochKeys,
    *,
    epoch: str,
    producer: str,
    sequence: int,
    entries: Sequence[tuple[bytes, int]],
    wants_pending: bool,
) -> Call[Added]:
    """Add `entries`, (member, delta) each, under the producer's sequence."""
    script_keys = [keys.epoch, keys.state, keys.pending, keys.producers]
    prefix = keys.deltas
    script_keys += [prefix + member for member, _ in entries]
    deltas = msgpack.packb([str(delta) for _, delta in entries])
    return ADD.call(script_keys, (epoch, producer, sequence, deltas, "1" if wants_pending else ""), _read_added)


def _read_added(reply: list[Any]) -> Added:
    if len(reply) == 1:
        return Added(reply[0].decode(), False, {}, ())
    refused = {int(i) - 1: reason.decode() for i, reason in zip(reply[1][::2], reply[1][1::2], strict=True)}
    pending = tuple(map(_whole, reply[2])) if len(reply) > 2 else ()
    return Added(reply[0].decode(), True, refused, pending)


class HandedOff(NamedTuple):
    """A batch just sealed, and the members pending after it."""

    batch: Batch
    next_head: tuple[bytes, ...]


def hand_off(
    keys: EpochKeys,
    *,
    epoch: str,
    shard: int,
    seq: int,
    nonce: str,
    fresh_nonce: str,
    now: int,
    head: Sequence[bytes],
    in_flight: int,
    next_head: int,
    pending_since: int | None,
) -> Call[HandedOff | None]:
    """Seal the members at the head of pending as batch `seq + 1`, on top of `in_flight` handed off just before it; None
    when anything was not as it was read.
    """
    script_keys = [keys.state, keys.pending, keys.in_flight, keys.batch(seq + 1)]
    prefix = keys.deltas
    script_keys += [prefix + member for member in head]
    since = "" if pending_since is None else pending_since
    arguments = (epoch, shard, seq, nonce, fresh_nonce, now, in_flight, next_head, since)
    return HAND_OFF.call(script_keys, arguments, _read_handed_off)


def _read_handed_off(reply: list[Any]) -> HandedOff | None:
    return HandedOff(Batch.unpack(reply[0]), tuple(msgpack.unpackb(reply[1], raw=True))) if reply else None


def acknowledge(keys: EpochKeys, batch: BatchId) -> Call[bool]:
    """Drop `batch`; True if it was in flight."""
    return ACKNOWLEDGE.call((keys.state, keys.in_flight, keys.batch(batch.seq)), (f"{batch.seq}:{batch.nonce}",), bool)


def begin_epoch(keys: ShardKeys, *, old: str, fresh: str) -> Call[str]:
    """Point at `fresh` if `old` ("" for none) is current; the epoch that is current now."""
    return BEGIN_EPOCH.call((keys.epoch, keys.epochs), (old, fresh), bytes.decode)


def drop_epoch(keys: EpochKeys, epoch: str) -> Call[bool]:
    """Forget an epoch left behind; False if it is current or not yet empty."""
    names = (keys.epoch, keys.epochs, keys.state, keys.pending, keys.in_flight, keys.producers)
    return DROP_EPOCH.call(names, (epoch,), bool)


class Confirmed(NamedTuple):
    """Where a shard stands under one epoch, read from a server that takes writes. `current`: "" for no epoch."""

    current: str
    seq: int
    nonce: str
    accepted: int
    sealed: int
    in_flight: tuple[tuple[int, str], ...]  # (seq, nonce), oldest first


def confirm(keys: EpochKeys) -> Call[Confirmed]:
    """Read where the shard stands, together with a write, which only a master takes."""
    return CONFIRM.call((keys.epoch, keys.state, keys.in_flight), (), _read_confirmed)


def _read_confirmed(reply: list[Any]) -> Confirmed:
    current, seq, nonce, accepted, sealed, in_flight = reply
    ids = tuple(read_id(text) for text in in_flight)
    return Confirmed(current.decode(), int(seq), nonce.decode(), int(accepted), int(sealed), ids)


def read_id(text: bytes) -> tuple[int, str]:
    """(seq, nonce) of an entry of the in_flight list."""
    seq, _, nonce = text.decode().partition(":")
    return int(seq), nonce


def lease(keys: ShardKeys, *, token: str, milliseconds: int) -> Call[bool]:
    """Take or keep the lease; 0 milliseconds gives it back. False if another worker holds it."""
    return LEASE.call((keys.lease,), (token, milliseconds), bool)


def prune_producers(keys: EpochKeys, *, age: int, producers: Sequence[bytes]) -> Call[int]:
    """Forget those of `producers` that have been silent for `age` milliseconds."""
    return PRUNE_PRODUCERS.call((keys.producers,), (age, *producers), int)


class LiveParts(NamedTuple):
    """What Redis adds to SQL totals at one moment. `known` is False when another epoch is current."""

    epoch: str
    known: bool
    acked: int
    seq: int
    in_flight: tuple[tuple[int, str], ...]
    pending: tuple[int, ...]


def live(keys: EpochKeys, *, epoch: str, members: Sequence[bytes]) -> Call[LiveParts]:
    """Read pending deltas and what is in flight, in one moment."""
    names = [keys.epoch, keys.state, keys.in_flight, *(keys.deltas + member for member in members)]
    return LIVE.call(names, (epoch,), _read_live)


def _read_live(reply: list[Any]) -> LiveParts:
    if len(reply) == 1:
        return LiveParts(reply[0].decode(), False, 0, 0, (), ())
    epoch, acked, seq, in_flight, pending = reply
    deltas = tuple(map(_whole, pending))
    return LiveParts(epoch.decode(), True, int(acked), int(seq), tuple(map(read_id, in_flight)), deltas)


def _whole(text: bytes | None) -> int:
    """A pending delta; what no client of ours wrote counts nothing, and a flush sets it aside."""
    try:
        return int(text or 0)
    except ValueError:
        return 0


def repair(keys: EpochKeys, *, now: int, members: Sequence[bytes]) -> Call[int]:
    """Push those of `members` that have a delta to pending again; how many were pushed."""
    return REPAIR.call((keys.state, keys.pending, *(keys.deltas + member for member in members)), (now,), int)


def command(*words: Word) -> Call[Any]:
    """A plain command, its reply as it comes."""
    return Call(words, _as_it_comes)


def _as_it_comes(reply: object) -> object:
    return reply
