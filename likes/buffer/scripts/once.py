"""Adding once for each idempotency key, and the generations of buckets in which those are remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgpack

from likes.buffer.calls import Call, Script, Word, command
from likes.buffer.damage import damaged, read_word
from likes.buffer.generations import (
    FIRST_BUCKETS,
    GROWTH,
    KEYS_A_BUCKET,
    KNOWN_SECONDS,
    SUCCESSOR_SECONDS,
    Generation,
    Generations,
)
from likes.buffer.keys import EpochKeys
from likes.buffer.scripts.adding import ADD, Added

ADD_ONCE = Script("add_once", inside=ADD)
TURN_ONCE = Script("turn_once")

KEY_BYTES, DIGEST_BYTES = 10, 4
BUCKETS_A_CALL = 64
_SAMPLE = 8  # buckets of a generation that are asked how full they are
UNKNOWN = msgpack.packb(True)  # kept where nobody can tell whether it was counted


class OnceKey(NamedTuple):
    """An idempotency key with all it is scoped by, hashed to 32 bytes; and what it stands for, to 4."""

    key: bytes
    digest: bytes

    def bucket(self, buckets: int) -> int:
        """Which of so many buckets it belongs to."""
        return int.from_bytes(self.key[KEY_BYTES : KEY_BYTES + 8]) % buckets


class Turned(NamedTuple):
    """Nothing was done, as the generations are these. full: the newest has no room."""

    epoch: str
    generations: Generations
    full: bool = False


class Kept(NamedTuple):
    """The key was used before, for what has this digest. unknown: and nobody can tell whether that was counted.

    refused: index of the entry -> reason. pending: the pending delta after it, where that was kept.
    """

    epoch: str
    digest: bytes
    refused: dict[int, str]
    pending: tuple[int, ...]
    unknown: bool


def add_once(
    keys: EpochKeys, once: OnceKey, generations: Generations, adding: Call[Added], *, keeps_pending: bool
) -> Call[Added | Turned | Kept]:
    """Do what `adding`, a call of `add` that wants the pending deltas, does, unless the key is known.

    keeps_pending: it has one entry, the pending delta of which is kept for whoever repeats it.
    """
    names, arguments = adding.given
    kept = "pending" if keeps_pending else "refused"
    read = partial(_read, keys, adding.read, keeps_pending)
    return _call(keys, once, generations, names, (kept, *arguments), read)


def keep(keys: EpochKeys, once: OnceKey, generations: Generations, kept: bytes = b"") -> Call[Added | Turned | Kept]:
    """Add nothing, but remember the key."""
    done = Added(keys.epoch, True, {}, ())
    return _call(keys, once, generations, (), (kept,), partial(_read, keys, lambda _: done, False))


def _call(
    keys: EpochKeys,
    once: OnceKey,
    generations: Generations,
    names: Sequence[Word],
    arguments: Sequence[Word],
    read: Callable[[Any], Added | Turned | Kept],
) -> Call[Added | Turned | Kept]:
    buckets = [keys.once_bucket(each.number, once.bucket(each.buckets)) for each in generations.live]
    own = (keys.epoch, generations.text, len(buckets), once.key[:KEY_BYTES], once.digest, KEYS_A_BUCKET)
    return ADD_ONCE.call(
        keys.shard, (keys.pointer, keys.once, keys.resharding, *buckets, *names), (*own, *arguments), read
    )


def _read(
    keys: EpochKeys, read_added: Callable[[Any], Added], keeps_pending: bool, reply: list[Any]
) -> Added | Turned | Kept:
    if len(reply) == 1:
        return Added(read_word(keys.pointer, reply[0]), False, {}, ())
    epoch, what, *rest = reply
    if what == b"added":
        return read_added(rest[0] if rest else None)
    if what == b"repeat":
        return read_kept(keys, epoch.decode(), rest[0], keeps_pending=keeps_pending)
    return Turned(epoch.decode(), Generations(rest[0].decode("ascii", "replace")), what == b"full")


def find_kept(keys: EpochKeys, once: OnceKey, generations: Generations) -> list[Call[Any]]:
    """Read what is kept under the key in each generation, of an epoch given up; nothing is kept under "" either."""
    buckets = [keys.once_bucket(each.number, once.bucket(each.buckets)) for each in generations.live]
    return [command("HGET", bucket, once.key[:KEY_BYTES], shard=keys.shard) for bucket in buckets]


def read_kept(keys: EpochKeys, epoch: str, record: bytes, *, keeps_pending: bool, unknown: bool = False) -> Kept:
    """What is kept under a key. unknown: whatever that is, nobody can tell what became of what it stands for."""
    if unknown:
        return Kept(epoch, record[:DIGEST_BYTES], {}, (), True)
    digest, kept = record[:DIGEST_BYTES], record[DIGEST_BYTES:]
    try:
        outcome = msgpack.unpackb(kept, raw=True) if kept else ()
        if outcome is True:
            return Kept(epoch, digest, {}, (), True)
        if keeps_pending:
            numbers = outcome if isinstance(outcome, list) else [outcome]
            return Kept(epoch, digest, {}, tuple(map(int, numbers)), False)
        refused = {int(i) - 1: reason.decode() for i, reason in zip(outcome[::2], outcome[1::2], strict=True)}
    except (ValueError, TypeError, AttributeError):
        raise damaged(keys.once, "has a bucket with a key that is none of ours") from None
    return Kept(epoch, digest, refused, (), False)


def turn_once(keys: EpochKeys, generations: Generations, *, full: bool = False) -> Call[Turned]:
    """Begin a generation of buckets if that is due, or this one is full."""
    sample = [
        keys.once_bucket(each.number, n) for each in generations.live[-1:] for n in range(min(each.buckets, _SAMPLE))
    ]
    return _turn(keys, generations, sample, wanted=generations.next_buckets if full else "")


def delete_buckets(keys: EpochKeys, generations: Generations, first: int = 0) -> Call[Turned]:
    """Delete buckets of the oldest generation that is over, from number `first` on: BUCKETS_A_CALL. Where no more
    are left, forget it.
    """
    oldest = generations.over[0]
    if buckets := _buckets(keys, oldest, first):
        return _turn(keys, generations, buckets, deletes="1")
    return _turn(keys, generations, (), deleted=oldest.number)


def _turn(
    keys: EpochKeys,
    generations: Generations,
    buckets: Sequence[Word],
    *,
    wanted: Word = "",
    deleted: Word = "",
    deletes: Word = "",
) -> Call[Turned]:
    times = (KNOWN_SECONDS * 1000, SUCCESSOR_SECONDS * 1000, FIRST_BUCKETS, GROWTH)
    arguments = (keys.epoch, generations.text, wanted, deleted, *times, deletes)
    return TURN_ONCE.call(keys.shard, (keys.pointer, keys.once, *buckets), arguments, partial(_read_turned, keys))


def _read_turned(keys: EpochKeys, reply: list[Any]) -> Turned:
    text = reply[1].decode("ascii", "replace") if len(reply) > 1 else ""
    return Turned(read_word(keys.pointer, reply[0]), Generations(text))


def _buckets(keys: EpochKeys, generation: Generation, first: int) -> list[Word]:
    return [
        keys.once_bucket(generation.number, n) for n in range(first, min(first + BUCKETS_A_CALL, generation.buckets))
    ]


def delete_all_buckets(keys: EpochKeys, generations: Generations) -> Iterator[Call[Any]]:
    """Delete every bucket there is, of an epoch left behind."""
    for each in (*generations.over, *generations.live):
        for first in range(0, each.buckets, BUCKETS_A_CALL):
            yield command("DEL", *_buckets(keys, each, first), shard=keys.shard)
